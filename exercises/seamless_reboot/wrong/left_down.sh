#: step reboot on sms as user1
sudo scontrol reboot ASAP nextstate=DOWN c1
#: wait sinfo -hN -n c1 -o %E | grep -q complete within 240
