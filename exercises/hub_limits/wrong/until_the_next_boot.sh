# Mends the file in the node's memory only.

#: step apply on login as root
printf '%s\n' 'c.SlurmSpawner.req_options = "--account=notebooks --qos=notebook"' 'c.SlurmSpawner.req_runtime = "1:00:00"' >>/etc/jupyterhub/jupyterhub_config.py
systemctl restart jupyterhub
#: wait hub-server list within 60
hub-server stop user1
hub-server start user1
