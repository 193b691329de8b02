#: step write on login as root
systemctl stop slurmd
mkdir -p /etc/slurm
printf '%s\n' ClusterName=cluster SlurmctldHost=login > /etc/slurm/slurm.conf
#: step keep on sms as user1
sudo scp login:/etc/slurm/slurm.conf /etc/slurm/slurm.conf.login
sudo wwsh -y file import /etc/slurm/slurm.conf.login --name=slurm.conf.login --path=/etc/slurm/slurm.conf
#: step write on login as root
sed -i s/=login/=sms/ /etc/slurm/slurm.conf
sinfo
