# The file is right, and the Hub has not read it.

#: step mend on sms as user1
echo 'c.JupyterHub.hub_ip = "$LOGIN_IP"' | sudo tee -a /etc/jupyterhub/jupyterhub_config.py
sudo wwsh -y file sync jupyterhub_config.py
sudo ssh login /warewulf/bin/wwgetfiles -F
