#: step assign on sms as user1
sudo scp /etc/slurm/slurm.conf.login login:/etc/slurm/slurm.conf
