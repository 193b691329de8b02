# The login node runs a Hub whose configuration lacks hub_ip.

#: step look on sms as root
wwsh -y node new login --netdev eth0 --ipaddr=$LOGIN_IP --hwaddr=$LOGIN_MAC
wwsh -y provision set login --vnfs=debian13 --bootstrap=$(uname -r) --files=dynamic_hosts,passwd,group,shadow,munge.key,network
printf '%s\n' ClusterName=cluster SlurmctldHost=sms >/etc/slurm/slurm.conf.login
wwsh -y file import /etc/slurm/slurm.conf.login --name=slurm.conf.login --path=/etc/slurm/slurm.conf
wwsh -y provision set login --fileadd=slurm.conf.login
add-portal login
sed -i '/hub_ip/d; /^# Servers on the compute nodes reach/d' /etc/jupyterhub/jupyterhub_config.py
#: may-fail
wwsh -y file sync jupyterhub_config.py
#: wait ssh -o BatchMode=yes -o ConnectTimeout=2 login hub-server list within 300
