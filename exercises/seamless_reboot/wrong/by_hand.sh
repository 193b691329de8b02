#: step reboot on sms as user1
# reconfigure restarted slurmctld. It notices that a node is gone only if it has heard from it since.
#: wait srun -w c1 true within 60
#: wait sinfo -hN -n c1 -o %t | grep -qx idle within 30
#: may-fail
sudo ssh c1 reboot
#: wait sinfo -hN -n c1 -o %t | grep -qx down within 120
sudo scontrol update node=c1 state=resume
