#: step assign on sms as user1
sudo wwsh -y provision set login --vnfs=debian13 --files=dynamic_hosts,passwd,group,shadow,munge.key,network
