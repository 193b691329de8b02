# The Hub listens on all networks.

#: step mend on sms as user1
printf '%s\n' 'c.JupyterHub.hub_ip = "0.0.0.0"' 'c.JupyterHub.hub_connect_ip = "$LOGIN_IP"' | sudo tee -a /etc/jupyterhub/jupyterhub_config.py
sudo wwsh -y file sync jupyterhub_config.py
sudo ssh login /warewulf/bin/wwgetfiles -F
sudo ssh login systemctl restart jupyterhub
#: wait sudo ssh login hub-server list within 60
sudo ssh login hub-server start user1
