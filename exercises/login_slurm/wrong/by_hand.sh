#: step introduce on login as root
mkdir -p /etc/slurm
printf '%s\n' ClusterName=cluster SlurmctldHost=sms > /etc/slurm/slurm.conf
sinfo
