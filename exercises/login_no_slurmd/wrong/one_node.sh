#: step image on sms as user1
sudo mkdir -p ${CHROOT}/etc/systemd/system/slurmd.service.d/
printf '%s\n' '[Unit]' 'ConditionHost=c1' | sudo tee ${CHROOT}/etc/systemd/system/slurmd.service.d/override.conf
sudo wwvnfs --chroot=${CHROOT}
