#: step weigh on sms as user1
cp /etc/slurm/slurm.conf ~/slurm.conf.old
sudo tee -a /etc/slurm/slurm.conf <<'END'
PriorityDecayHalfLife=3-0
PriorityMaxAge=1-0
PriorityType=priority/multifactor
PriorityWeightAge=1000
PriorityWeightFairshare=100000
PriorityWeightJobSize=1000
PriorityWeightPartition=10000
END
#: may-fail
sudo scontrol reconfigure
#: wait scontrol show config | grep -q 'FairShare *= 100000' within 180
sudo cp ~/slurm.conf.old /etc/slurm/slurm.conf
