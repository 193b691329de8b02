#: step register on sms as user1
sudo wwsh -y node new login --netdev eth0 --ipaddr=${LOGIN_IP}0 --hwaddr=$LOGIN_MAC
#: step assign on sms as user1
sudo wwsh -y provision set login --vnfs=debian13 --bootstrap=$(uname -r) --files=dynamic_hosts,passwd,group,shadow,munge.key,network
#: step boot on sms as user1
#: wait nc -z -w 2 ${LOGIN_IP}0 22 within 240
sudo wwsh -y node set login --netdev eth0 --ipaddr=$LOGIN_IP
