#: step assign on sms as user1
sudo wwsh -y provision set 'c*' --bootstrap=$(basename ${CHROOT}/lib/modules/*)
