#: step image on sms as user1
sudo mkdir -p ${CHROOT}/etc/systemd/system/slurmd.service.d/
sudo scp login:/etc/systemd/system/slurmd.service.d/override.conf ${CHROOT}/etc/systemd/system/slurmd.service.d/
