#: step mend on sms as user1
sudo wwsh -y node set 'c*' 'g*' --netdev=eth0 --netmask=255.255.255.252
sudo wwsh -y provision set 'c*' 'g*' --kargs="net.ifnames=0 biosdevname=0 quiet maxcpus=1"
