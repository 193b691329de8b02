#: step backfill on sms as user1
cp /etc/slurm/slurm.conf ~/slurm.conf.old
echo 'SchedulerParameters=bf_window=10080,bf_continue' | sudo tee -a /etc/slurm/slurm.conf
#: may-fail
sudo scontrol reconfigure
#: wait scontrol show config | grep -q bf_window=10080 within 180
sudo cp ~/slurm.conf.old /etc/slurm/slurm.conf
