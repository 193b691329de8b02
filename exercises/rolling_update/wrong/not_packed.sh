#: step image on sms as user1
printf 'role=compute\nref=december\n' | sudo tee ${CHROOT}/etc/image-release
