# SEC-2: fail2ban and firewalld in the VNFS, on the login node only, and a log that fail2ban can read.

#: step install on sms as user1
sudo yum -y install --installroot=${CHROOT} fail2ban
sudo chroot ${CHROOT} systemctl enable fail2ban firewalld

#: step jail on sms as user1
printf '%s\n' '[sshd]' 'enabled = true' | sudo tee ${CHROOT}/etc/fail2ban/jail.d/sshd.local

#: step where on sms as user1
sudo mkdir -p ${CHROOT}/etc/systemd/system/fail2ban.service.d/
sudo mkdir -p ${CHROOT}/etc/systemd/system/firewalld.service.d/
printf '%s\n' '[Unit]' 'ConditionHost=|login*' | sudo tee ${CHROOT}/etc/systemd/system/fail2ban.service.d/override.conf
sudo cp ${CHROOT}/etc/systemd/system/fail2ban.service.d/override.conf ${CHROOT}/etc/systemd/system/firewalld.service.d/

#: step log on sms as user1
sudo ssh login ls -l /var/log/secure
echo "authpriv.* /var/log/secure" | sudo tee ${CHROOT}/etc/rsyslog.d/authpriv-local.conf

#: step boot on sms as user1
sudo wwvnfs --chroot=${CHROOT}
#: may-fail
sudo ssh login reboot
#: wait sudo ssh -o BatchMode=yes -o ConnectTimeout=2 login fail2ban-client status sshd within 180
sudo ssh login fail2ban-client status sshd
sudo ssh login ls -l /var/log/secure
# firewalld has failed, so systemctl exits with status 3. The next exercise fixes it.
#: may-fail
sudo ssh login systemctl --no-pager status firewalld
