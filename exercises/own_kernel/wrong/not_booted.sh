#: step install on sms as user1
sudo yum -y install --installroot=${CHROOT} kernel
#: step bootstrap on sms as user1
sudo wwbootstrap --chroot=${CHROOT} $(basename ${CHROOT}/lib/modules/*)
#: step assign on sms as user1
sudo wwsh -y provision set '*' --bootstrap=$(basename ${CHROOT}/lib/modules/*)
