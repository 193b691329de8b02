#: step install on sms as user1
sudo yum -y install --installroot=${CHROOT} fail2ban
sudo chroot ${CHROOT} systemctl enable fail2ban firewalld
#: step jail on sms as user1
printf '%s\n' '[sshd]' 'enabled = true' | sudo tee ${CHROOT}/etc/fail2ban/jail.d/sshd.local
