#: step assign on sms as user1
sudo wwsh -y provision set login --vnfs=debian13 --bootstrap=$(uname -r) --files=dynamic_hosts,passwd,group,shadow,network
#: step boot on sms as user1
#: wait sudo ssh -o BatchMode=yes -o ConnectTimeout=2 login true within 240
#: step look on sms as user1
sudo scp /etc/munge/munge.key login:/etc/munge/munge.key
sudo ssh login 'chown munge: /etc/munge/munge.key && chmod 400 /etc/munge/munge.key && systemctl restart munge'
munge -n | sudo ssh login unmunge
