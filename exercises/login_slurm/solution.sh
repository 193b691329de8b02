# LOGIN-2: sinfo fails on the login node; add the node to slurm.conf.

#: step introduce on login as root
#: expect-fail
sinfo
#: may-fail
systemctl --no-pager status slurmd
slurmd -C

#: step introduce on sms as user1
sudo ssh login slurmd -C | grep NodeName | sudo tee -a /etc/slurm/slurm.conf
sudo scontrol reconfigure
#: wait scontrol ping within 30
sudo ssh login systemctl restart slurmd

#: step answer on login as root
#: wait sinfo within 30
sinfo

#: step answer on sms as user1
scontrol show node login
