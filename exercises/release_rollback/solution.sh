# Publish december, boot c1 on it, and go back to november.

#: step publish on sms as user1
nodeimage list compute
sudo nodeimage publish compute --release december
nodeimage verify compute december
sudo nodeimage activate compute december
readlink /srv/nodeimage/compute/current

#: step boot on sms as user1
sudo ssh c1 cat /etc/image-release
sudo scontrol update nodename=c1 state=drain reason=december
#: may-fail
sudo ssh c1 systemctl reboot
#: wait sudo ssh -o ConnectTimeout=2 c1 grep -q december /etc/image-release within 240
sudo ssh c1 cat /etc/image-release
sudo scontrol update nodename=c1 state=resume

#: step rollback on sms as user1
sudo nodeimage rollback compute
readlink /srv/nodeimage/compute/current
sudo ssh c1 grep REF /etc/image-release
sudo scontrol update nodename=c1 state=drain reason=november
#: may-fail
sudo ssh c1 systemctl reboot
#: wait sudo ssh -o ConnectTimeout=2 c1 grep -q november /etc/image-release within 240
sudo scontrol update nodename=c1 state=resume
sudo ssh c1 cat /etc/image-release
nodeimage list compute
