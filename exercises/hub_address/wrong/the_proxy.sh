# The address that users call is not the one that servers call.

#: step mend on sms as user1
echo 'c.JupyterHub.bind_url = "http://$LOGIN_IP:8000"' | sudo tee -a /etc/jupyterhub/jupyterhub_config.py
sudo wwsh -y file sync jupyterhub_config.py
sudo ssh login /warewulf/bin/wwgetfiles -F
sudo ssh login systemctl restart jupyterhub
#: wait sudo ssh login ss -Hltn 'sport = :8081' within 60
