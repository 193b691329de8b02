#: step scan on sms as user1
sudo wwsh -y node delete c1
sudo wwnodescan --netdev=eth0 --ipaddr=$C1_IP --netmask=$INTERNAL_NETMASK --vnfs=debian13 --bootstrap=$(uname -r) c1
