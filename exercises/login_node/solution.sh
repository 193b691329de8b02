# LOGIN-1: register the login node, assign what it boots, and watch it boot.

#: step register on sms as user1
wwsh node list
sudo wwsh -y node new login --netdev eth0 --ipaddr=$LOGIN_IP --hwaddr=$LOGIN_MAC
wwsh node print login

#: step assign on sms as user1
wwsh vnfs list
wwsh bootstrap list
sudo wwsh -y provision set login --vnfs=debian13 --bootstrap=$(uname -r) --files=dynamic_hosts,passwd,group,shadow,munge.key,network
# Warewulf exits with status 1 after `provision print`, even without an error.
#: may-fail
wwsh provision print login

#: step boot on sms as user1
#: wait sudo ssh -o BatchMode=yes -o ConnectTimeout=2 login true within 240
sudo ssh login hostname

#: step look on sms as user1
sudo ssh login df -h
munge -n | sudo ssh login unmunge
