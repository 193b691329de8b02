#: step write on sms as user1
sudo ssh login mkdir -p /etc/slurm
sudo scp /etc/slurm/slurm.conf login:/etc/slurm/slurm.conf
#: step keep on sms as user1
sudo scp login:/etc/slurm/slurm.conf /etc/slurm/slurm.conf.login
sudo wwsh -y file import /etc/slurm/slurm.conf.login --name=slurm.conf.login --path=/etc/slurm/slurm.conf
