#: step admit on sms as user1
sudo sed -i '/pam_slurm/d' ${CHROOT}/etc/pam.d/sshd
sudo wwvnfs --chroot=${CHROOT}
#: may-fail
sudo ssh login reboot
#: may-fail
sudo ssh c1 reboot
#: wait ssh -o BatchMode=yes -o ConnectTimeout=2 login true within 120
#: wait ssh -o BatchMode=yes -o ConnectTimeout=2 c1 true within 120
