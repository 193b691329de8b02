#: step fetch on sms as user1
(umask 077; scontrol token lifespan=3600 > slurm.jwt)

#: step fetch on client as user1
siphon --token-file slurm.jwt -o /run/slurm/conf sms

#: step fetch on sms as user1
sudo sed -i 's/MaxTime=24:00:00/MaxTime=12:00:00/' /etc/slurm/slurm.conf
sudo scontrol reconfigure
