#: step program on sms as user1
echo 'RebootProgram="/sbin/shutdown -r now"' | sudo tee -a /etc/slurm/slurm.conf
#: step reboot on sms as user1
sudo scontrol reboot ASAP nextstate=RESUME c1
#: wait sinfo -hN -n c1 -o %E | grep -q issued within 30
