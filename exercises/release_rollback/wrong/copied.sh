#: step rollback on sms as user1
cd /srv/nodeimage/compute
sudo cp november/image november/kernel december/
sudo scontrol update nodename=c1 state=drain reason=november
#: may-fail
sudo ssh c1 systemctl reboot
#: wait sudo ssh -o ConnectTimeout=2 c1 grep -q november /etc/image-release within 240
sudo scontrol update nodename=c1 state=resume
