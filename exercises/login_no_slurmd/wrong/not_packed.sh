#: step image on sms as user1
sudo mkdir -p ${CHROOT}/etc/systemd/system/slurmd.service.d/
sudo scp login:/etc/systemd/system/slurmd.service.d/override.conf ${CHROOT}/etc/systemd/system/slurmd.service.d/
#: step boot on sms as user1
sudo ssh login touch /run/before
#: may-fail
sudo ssh login reboot
#: may-fail
sudo ssh c1 reboot
#: wait sudo ssh -o BatchMode=yes -o ConnectTimeout=2 login 'test ! -e /run/before && systemctl is-active slurmd' within 120
#: wait sudo ssh -o BatchMode=yes -o ConnectTimeout=2 c1 systemctl is-active slurmd within 120
