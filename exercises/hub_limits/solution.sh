# PORTAL-2: req_options tells sbatch the account and the QOS, and the time asked for fits the QOS.

#: step apply on sms as user1
squeue --format='%i %j %u %a %q %l'
tail -n 4 /etc/jupyterhub/jupyterhub_config.py
grep -n '#SBATCH' /opt/ohpc/pub/software/jupyter/6.1.1/lib/python3.13/site-packages/batchspawner/batchspawner.py
sudo sed -i '/req_account/d; s/^c.SlurmSpawner.req_qos.*/c.SlurmSpawner.req_options = "--account=notebooks --qos=notebook"/' /etc/jupyterhub/jupyterhub_config.py
sudo wwsh -y file sync jupyterhub_config.py
sudo ssh login /warewulf/bin/wwgetfiles -F
sudo ssh login systemctl restart jupyterhub
#: wait sudo ssh login hub-server list within 60
sudo ssh login hub-server stop user1
#: expect-fail
sudo ssh login hub-server start user1

#: step fit on sms as user1
sudo sed -i 's/^c.SlurmSpawner.req_runtime.*/c.SlurmSpawner.req_runtime = "1:00:00"/' /etc/jupyterhub/jupyterhub_config.py
sudo wwsh -y file sync jupyterhub_config.py
sudo ssh login /warewulf/bin/wwgetfiles -F
sudo ssh login systemctl restart jupyterhub
#: wait sudo ssh login hub-server list within 60

#: step serve on sms as user1
sudo ssh login hub-server start user1
squeue --format='%i %j %u %a %q %l'
