#: step roll on sms as user1
sudo ssh c1 tee /etc/image-release < ${CHROOT}/etc/image-release
sudo ssh c2 tee /etc/image-release < ${CHROOT}/etc/image-release
