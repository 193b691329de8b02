# Somebody has changed c2: it will differ from the other nodes after its next boot.

#: step write on sms as root
wwsh -y node set c2 --netdev=eth0 --netmask=255.255.255.252
wwsh -y provision set c2 --filedel=group --kargs="net.ifnames=0 biosdevname=0 quiet maxcpus=1"
