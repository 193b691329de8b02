#: step image on sms as user1
sudo chroot ${CHROOT} systemctl disable rpcbind.socket rpcbind.service
#: step image on login as root
systemctl disable --now rpcbind.socket rpcbind.service
