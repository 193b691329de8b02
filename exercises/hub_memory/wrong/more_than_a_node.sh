# No node has so much.

#: step size on sms as user1
sudo sed -i 's/^c.SlurmSpawner.req_memory.*/c.SlurmSpawner.req_memory = "4G"/' /etc/jupyterhub/jupyterhub_config.py
sudo wwsh -y file sync jupyterhub_config.py
sudo ssh login /warewulf/bin/wwgetfiles -F
sudo ssh login systemctl restart jupyterhub
#: wait sudo ssh login hub-server list within 60
#: expect-fail
sudo ssh login hub-server start user1
