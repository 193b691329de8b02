#: step image on sms as user1
sudo chroot ${CHROOT} systemctl mask rpcbind.socket rpcbind.service
#: step boot on sms as user1
sudo ssh login touch /run/before
#: may-fail
sudo ssh login reboot
#: wait sudo ssh -o BatchMode=yes -o ConnectTimeout=2 login 'test ! -e /run/before && systemctl is-active rpcbind.socket' within 180
