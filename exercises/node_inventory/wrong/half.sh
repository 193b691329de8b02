#: step write on sms as user1
(wwsh node print; wwsh provision print) | cat >~/inventory.txt
#: step mend on sms as user1
sudo wwsh -y node set c2 --netdev=eth0 --netmask=$INTERNAL_NETMASK
