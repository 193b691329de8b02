#: step fetch on sms as user1
sudo sed -i 's/MaxTime=24:00:00/MaxTime=12:00:00/' /etc/slurm/slurm.conf
sudo scontrol reconfigure
