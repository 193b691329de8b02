#: step boot on sms as user1
sudo ssh login touch /run/before
#: may-fail
sudo ssh login reboot
#: wait sudo ssh -o BatchMode=yes -o ConnectTimeout=2 login 'test ! -e /run/before && systemctl is-system-running --wait' within 180
