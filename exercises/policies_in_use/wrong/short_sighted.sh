#: step backfill on sms as user1
echo 'SchedulerParameters=bf_window=1440,bf_continue' | sudo tee -a /etc/slurm/slurm.conf
sudo scontrol reconfigure
