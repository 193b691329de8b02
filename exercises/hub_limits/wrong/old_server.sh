# Everything but a new server.

#: step apply on sms as user1
printf '%s\n' 'c.SlurmSpawner.req_options = "--account=notebooks --qos=notebook"' 'c.SlurmSpawner.req_runtime = "1:00:00"' | sudo tee -a /etc/jupyterhub/jupyterhub_config.py
sudo wwsh -y file sync jupyterhub_config.py
sudo ssh login /warewulf/bin/wwgetfiles -F
sudo ssh login systemctl restart jupyterhub
#: wait sudo ssh login hub-server list within 60
