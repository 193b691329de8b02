#: step tree on sms as user1
sudo cp -r ${CHROOT} ${CHROOT}-gpu
