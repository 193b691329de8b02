#: step where on sms as user1
sudo mkdir -p ${CHROOT}/etc/systemd/system/fail2ban.service.d/
sudo mkdir -p ${CHROOT}/etc/systemd/system/firewalld.service.d/
printf '%s\n' '[Unit]' 'ConditionHost=*' | sudo tee ${CHROOT}/etc/systemd/system/fail2ban.service.d/override.conf
sudo cp ${CHROOT}/etc/systemd/system/fail2ban.service.d/override.conf ${CHROOT}/etc/systemd/system/firewalld.service.d/
