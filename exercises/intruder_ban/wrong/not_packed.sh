#: step install on sms as user1
sudo yum -y install --installroot=${CHROOT} fail2ban
sudo chroot ${CHROOT} systemctl enable fail2ban firewalld
#: step jail on sms as user1
printf '%s\n' '[sshd]' 'enabled = true' | sudo tee ${CHROOT}/etc/fail2ban/jail.d/sshd.local
#: step where on sms as user1
sudo mkdir -p ${CHROOT}/etc/systemd/system/fail2ban.service.d/ ${CHROOT}/etc/systemd/system/firewalld.service.d/
printf '%s\n' '[Unit]' 'ConditionHost=login' | sudo tee ${CHROOT}/etc/systemd/system/fail2ban.service.d/override.conf
printf '%s\n' '[Unit]' 'ConditionHost=login' | sudo tee ${CHROOT}/etc/systemd/system/firewalld.service.d/override.conf
#: step log on sms as user1
echo "authpriv.* /var/log/secure" | sudo tee ${CHROOT}/etc/rsyslog.d/authpriv-local.conf
#: step boot on sms as user1
sudo ssh login touch /run/before
#: may-fail
sudo ssh login reboot
#: wait sudo ssh -o BatchMode=yes -o ConnectTimeout=2 login 'test ! -e /run/before && systemctl is-system-running --wait' within 180
