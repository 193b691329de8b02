# The second assignment replaces the first.

#: step apply on sms as user1
printf '%s\n' 'c.SlurmSpawner.req_options = "--account=notebooks"' 'c.SlurmSpawner.req_options = "--qos=notebook"' | sudo tee -a /etc/jupyterhub/jupyterhub_config.py
sudo wwsh -y file sync jupyterhub_config.py
sudo ssh login /warewulf/bin/wwgetfiles -F
sudo ssh login systemctl restart jupyterhub
