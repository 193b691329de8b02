# Accounting is on, notebooks have an account and a QOS, and the Hub asks for both in a way that does nothing.

#: step apply on sms as root
mysqladmin create slurm_acct_db
mysql -e "create user 'slurm'@'localhost' identified by 'portal'; grant all privileges on slurm_acct_db.* to 'slurm'@'localhost'"
sed 's/^StoragePass=.*/StoragePass=portal/' /etc/slurm/slurmdbd.conf.example >/etc/slurm/slurmdbd.conf
chown slurm: /etc/slurm/slurmdbd.conf
chmod 600 /etc/slurm/slurmdbd.conf
systemctl enable -q --now slurmdbd
wwsh -y node new login --netdev eth0 --ipaddr=$LOGIN_IP --hwaddr=$LOGIN_MAC
wwsh -y provision set login --vnfs=debian13 --bootstrap=$(uname -r) --files=dynamic_hosts,passwd,group,shadow,munge.key,network
printf '%s\n' ClusterName=cluster SlurmctldHost=sms >/etc/slurm/slurm.conf.login
wwsh -y file import /etc/slurm/slurm.conf.login --name=slurm.conf.login --path=/etc/slurm/slurm.conf
wwsh -y provision set login --fileadd=slurm.conf.login
add-portal login
printf '%s\n' '' '# Policy: notebooks are charged to the account notebooks, under the QOS notebook.' 'c.SlurmSpawner.req_account = "notebooks"' 'c.SlurmSpawner.req_qos = "notebook"' >>/etc/jupyterhub/jupyterhub_config.py
#: may-fail
wwsh -y file sync jupyterhub_config.py
#: wait ss -Hltn 'sport = :6819' | grep -q 6819 within 180
sed -i 's/^#*AccountingStorageEnforce=.*/AccountingStorageEnforce=qos,limits,safe/; s|^AccountingStorageType=.*|AccountingStorageType=accounting_storage/slurmdbd|' /etc/slurm/slurm.conf
#: may-fail
scontrol reconfigure
#: wait scontrol show config | grep -q accounting_storage/slurmdbd within 180
#: may-fail
sacctmgr -i add cluster cluster
sacctmgr -i add account science Description="All other work"
sacctmgr -i add account notebooks Description="Notebooks of the portal"
sacctmgr -i add qos notebook set flags=DenyOnLimit maxwall=01:00:00
sacctmgr -i add user user1,user2 account=science DefaultAccount=science
sacctmgr -i add user user1,user2 account=notebooks qos=notebook DefaultQOS=notebook
#: wait ssh -o BatchMode=yes -o ConnectTimeout=2 login hub-server list within 300
ssh login hub-server start user1
