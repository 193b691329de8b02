# COMP-1: return c1 to service, then have Slurm reboot it and resume it.

#: step resume on sms as user1
sinfo -R
sudo scontrol update node=c1 state=resume
#: wait sinfo -hN -n c1 -o %t | grep -qx idle within 30
sinfo

#: step program on sms as user1
grep -i reboot /etc/slurm/slurm.conf
echo 'RebootProgram="/sbin/shutdown -r now"' | sudo tee -a /etc/slurm/slurm.conf
sudo scontrol reconfigure
#: wait scontrol ping within 30
scontrol show config | grep RebootProgram

#: step reboot on sms as user1
sudo scontrol reboot ASAP nextstate=RESUME c1
sinfo
#: wait sinfo -hN -n c1 -o %t | grep -qx idle within 240
sudo ssh c1 uptime
sinfo
