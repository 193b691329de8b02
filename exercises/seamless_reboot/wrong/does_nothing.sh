#: step program on sms as user1
echo 'RebootProgram=/bin/true' | sudo tee -a /etc/slurm/slurm.conf
sudo scontrol reconfigure
#: wait scontrol ping within 30
#: step reboot on sms as user1
sudo scontrol reboot ASAP nextstate=RESUME c1
#: wait sinfo -hN -n c1 -o %E | grep -q issued within 30
#: wait ! sudo ssh c1 "journalctl -u slurmd -q --since -12s -g 'reboot request'" | grep -q . within 60
