# KERN-1: a kernel in the chroot and a bootstrap with it, which every node boots.

#: step install on sms as user1
uname -r
sudo yum -y install --installroot=${CHROOT} kernel
ls ${CHROOT}/boot

#: step bootstrap on sms as user1
sudo wwbootstrap --help
KVER=$(basename ${CHROOT}/lib/modules/*)
echo ${KVER}
sudo wwbootstrap --chroot=${CHROOT} ${KVER}
wwsh bootstrap list

#: step assign on sms as user1
wwsh provision list
KVER=$(basename ${CHROOT}/lib/modules/*)
#: answer y to Yes/No>
sudo wwsh provision set '*' --bootstrap=${KVER}
wwsh provision list

#: step boot on sms as user1
sudo scontrol reboot ASAP nextstate=RESUME c[1-2]
#: may-fail
sudo pdsh -w 'login' reboot
#: wait test "$(sudo pdsh -t 2 -N -w 'c[1-2],login' uname -r 2>/dev/null | sort -u)" = "$(basename ${CHROOT}/lib/modules/*)" -a "$(sudo pdsh -t 2 -N -w 'c[1-2],login' uname -r 2>/dev/null | wc -l)" = 3 within 240
sudo pdsh -w 'c[1-2],login' uname -r | sort
#: wait test "$(sinfo -h -N -n c[1-2] -o %T | sort -u)" = idle within 120
sinfo
uname -r
