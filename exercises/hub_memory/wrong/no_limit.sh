# Slurm looks away.

#: step run on sms as root
sed -i '/OverMemoryKill/d' /etc/slurm/slurm.conf
scontrol reconfigure
#: wait scontrol ping within 30
ssh login hub-server start user1
ssh login hub-server run user1 /home/user1/hub_memory/analysis.py
