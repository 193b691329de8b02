# A technician has replaced the mainboard of c1: Warewulf has the address of the old one.

#: step scan on sms as root
scontrol update nodename=c1 state=drain reason="new mainboard"
wwsh -y node set c1 --netdev=eth0 --hwaddr=52:54:00:ff:ff:c1
ssh -o BatchMode=yes c1 systemctl reboot
#: wait ! ssh -o BatchMode=yes -o ConnectTimeout=2 c1 true within 120
