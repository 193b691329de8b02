# Mends the file in the node's memory only.

#: step mend on login as root
echo 'c.JupyterHub.hub_ip = "$LOGIN_IP"' >>/etc/jupyterhub/jupyterhub_config.py
systemctl restart jupyterhub
#: wait hub-server list within 60
hub-server start user1
