#: step resume on sms as user1
sudo scontrol update node=c1 state=resume
#: wait sinfo -hN -n c1 -o %t | grep -qx idle within 30
#: step program on sms as user1
echo 'RebootProgram="/sbin/shutdown -r now"' | sudo tee -a /etc/slurm/slurm.conf
sudo scontrol reconfigure
#: wait scontrol ping within 30
#: step reboot on sms as user1
sudo scontrol reboot ASAP nextstate=DOWN c1
#: wait sinfo -hN -n c1 -o %E | grep -q complete within 240
