# LOGIN-3: a two-line slurm.conf on the login node, stored as a Warewulf file.

#: step write on login as root
systemctl stop slurmd
mkdir -p /etc/slurm
printf '%s\n' ClusterName=cluster SlurmctldHost=sms > /etc/slurm/slurm.conf
cat /etc/slurm/slurm.conf
sinfo

#: step keep on sms as user1
sudo scp login:/etc/slurm/slurm.conf /etc/slurm/slurm.conf.login
sudo wwsh -y file import /etc/slurm/slurm.conf.login --name=slurm.conf.login --path=/etc/slurm/slurm.conf
wwsh file list
