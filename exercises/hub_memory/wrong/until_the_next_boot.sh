# Mends the file in the node's memory only.

#: step size on login as root
sed -i 's/^c.SlurmSpawner.req_memory.*/c.SlurmSpawner.req_memory = "600M"/' /etc/jupyterhub/jupyterhub_config.py
systemctl restart jupyterhub
#: wait hub-server list within 60
hub-server start user1
hub-server run user1 /home/user1/hub_memory/analysis.py
