#: step install on sms as user1
sudo yum -y install --installroot=${CHROOT} kernel
#: step bootstrap on sms as user1
#: expect-fail
sudo wwbootstrap $(basename ${CHROOT}/lib/modules/*)
