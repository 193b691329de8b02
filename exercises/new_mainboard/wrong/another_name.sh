#: step scan on sms as user1
sudo wwnodescan --replace --netdev=eth0 c2
