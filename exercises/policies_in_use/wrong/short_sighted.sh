#: step backfill on sms as user1
echo 'SchedulerParameters=bf_window=1440,bf_continue' | sudo tee -a /etc/slurm/slurm.conf
#: may-fail
sudo scontrol reconfigure
#: wait scontrol show config | grep -q bf_window=1440 within 180
