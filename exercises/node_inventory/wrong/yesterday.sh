#: step mend on sms as user1
sudo wwsh -y node set c2 --netdev=eth0 --netmask=$INTERNAL_NETMASK
sudo wwsh -y provision set c2 --fileadd=group --kargs="net.ifnames=0 biosdevname=0 quiet"
