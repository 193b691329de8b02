# Somebody was here before: c2 is not what its neighbours are, as soon as it boots again.

#: step write on sms as root
wwsh -y node set c2 --netdev=eth0 --netmask=255.255.255.0
wwsh -y provision set c2 --filedel=group --kargs="net.ifnames=0 biosdevname=0 quiet maxcpus=1"
