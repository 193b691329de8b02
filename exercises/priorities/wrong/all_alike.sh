#: step weigh on sms as user1
sudo tee -a /etc/slurm/slurm.conf <<'END'
PriorityDecayHalfLife=3-0
PriorityMaxAge=1-0
PriorityType=priority/multifactor
PriorityWeightAge=1000
PriorityWeightFairshare=1000
PriorityWeightJobSize=1000
PriorityWeightPartition=10000
END
sudo scontrol reconfigure
