#: step image on sms as user1
sudo mkdir -p ${CHROOT}/etc/systemd/system/slurmd.service.d/
printf '%s\n' '[Unit]' 'ConditionHost=c*' 'ConditionHost=g*' | sudo tee ${CHROOT}/etc/systemd/system/slurmd.service.d/override.conf
sudo wwvnfs --chroot=${CHROOT}
#: step boot on sms as user1
sudo ssh c1 touch /run/before
#: may-fail
sudo ssh login reboot
#: may-fail
sudo ssh c1 reboot
#: wait sudo ssh -o BatchMode=yes -o ConnectTimeout=2 c1 'test ! -e /run/before && systemctl is-system-running --wait' within 120
