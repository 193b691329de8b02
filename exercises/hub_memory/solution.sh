# PORTAL-3: servers ask for the memory that an analysis needs.

#: step die on sms as user1
cat ~/hub_memory/analysis.py
sudo ssh login hub-server start user1
#: expect-fail
sudo ssh login hub-server run user1 /home/user1/hub_memory/analysis.py
squeue
#: wait grep -q 'exceeded memory limit' ~/jupyterhub_slurmspawner_*.log within 30
tail -n 4 ~/jupyterhub_slurmspawner_*.log

#: step size on sms as user1
grep req_memory /etc/jupyterhub/jupyterhub_config.py
scontrol show config | grep -E 'SelectTypeParameters|OverMemoryKill'
scontrol show node c1 | grep RealMemory
sudo sed -i 's/^c.SlurmSpawner.req_memory.*/c.SlurmSpawner.req_memory = "600M"/' /etc/jupyterhub/jupyterhub_config.py
sudo wwsh -y file sync jupyterhub_config.py
sudo ssh login /warewulf/bin/wwgetfiles -F
sudo ssh login systemctl restart jupyterhub
#: wait sudo ssh login hub-server list within 60

#: step run on sms as user1
sudo ssh login hub-server start user1
sudo ssh login hub-server run user1 /home/user1/hub_memory/analysis.py
