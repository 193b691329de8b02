# TYPES-3: find the new MAC address of c1 by its DHCP requests, and return the node to service.

#: step scan on sms as user1
wwsh node print c1
sudo wwnodescan --test --replace --netdev=eth0 c1
sudo wwnodescan --replace --netdev=eth0 c1
wwsh node print c1

#: step boot on sms as user1
#: wait sudo ssh -o BatchMode=yes -o ConnectTimeout=2 c1 true within 240
sudo ssh c1 hostname

#: step serve on sms as user1
sinfo -R
sudo scontrol update nodename=c1 state=resume
#: wait sinfo -hN -n c1 -o %t | grep -qx idle within 120
sinfo
