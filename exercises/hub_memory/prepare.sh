# Slurm ends jobs that take more memory than they asked for, and the Hub asks for little.

#: step die on sms as root
sed -i 's/^SelectTypeParameters=.*/SelectTypeParameters=CR_Core_Memory/; s|^JobAcctGatherType=.*|&\nJobAcctGatherFrequency=task=1\nJobAcctGatherParams=OverMemoryKill|' /etc/slurm/slurm.conf
systemctl restart slurmctld
wwsh -y node new login --netdev eth0 --ipaddr=$LOGIN_IP --hwaddr=$LOGIN_MAC
wwsh -y provision set login --vnfs=debian13 --bootstrap=$(uname -r) --files=dynamic_hosts,passwd,group,shadow,munge.key,network
printf '%s\n' ClusterName=cluster SlurmctldHost=sms >/etc/slurm/slurm.conf.login
wwsh -y file import /etc/slurm/slurm.conf.login --name=slurm.conf.login --path=/etc/slurm/slurm.conf
wwsh -y provision set login --fileadd=slurm.conf.login
add-portal login
sed -i 's/req_memory = .*/req_memory = "300M"/' /etc/jupyterhub/jupyterhub_config.py
#: may-fail
wwsh -y file sync jupyterhub_config.py
#: wait scontrol ping within 60
scontrol reconfigure
#: wait ssh -o BatchMode=yes -o ConnectTimeout=2 login hub-server list within 300
