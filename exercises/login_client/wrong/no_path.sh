#: step keep on sms as user1
sudo scp login:/etc/slurm/slurm.conf /etc/slurm/slurm.conf.login
sudo wwsh -y file import /etc/slurm/slurm.conf.login --name=slurm.conf.login
