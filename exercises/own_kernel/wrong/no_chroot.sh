#: step bootstrap on sms as user1
#: expect-fail
sudo wwbootstrap $(basename ${CHROOT}/lib/modules/*)
