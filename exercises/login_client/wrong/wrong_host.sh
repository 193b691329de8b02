#: step write on login as root
systemctl stop slurmd
mkdir -p /etc/slurm
printf '%s\n' ClusterName=cluster SlurmctldHost=login > /etc/slurm/slurm.conf
