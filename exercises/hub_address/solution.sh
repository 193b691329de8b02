# PORTAL-1: the Hub listens where the compute nodes reach it.

#: step look on sms as user1
#: expect-fail
sudo ssh login hub-server start user1
squeue
tail -n 3 ~/jupyterhub_slurmspawner_*.log
sudo ssh login ss -Hltnp 'sport = :8081'

#: step mend on sms as user1
cat /etc/jupyterhub/jupyterhub_config.py
echo 'c.JupyterHub.hub_ip = "$LOGIN_IP"' | sudo tee -a /etc/jupyterhub/jupyterhub_config.py
sudo wwsh -y file sync jupyterhub_config.py
sudo ssh login /warewulf/bin/wwgetfiles -F
sudo ssh login systemctl restart jupyterhub
#: wait sudo ssh login hub-server list within 60

#: step serve on sms as user1
sudo ssh login hub-server start user1
squeue
sudo ssh login hub-server list
