#: step image on sms as user1
sudo chroot ${CHROOT} systemctl mask rpcbind.service
sudo wwvnfs --chroot=${CHROOT}
