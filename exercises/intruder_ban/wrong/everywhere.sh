#: step jail on sms as user1
printf '%s\n' '[sshd]' 'enabled = true' | sudo tee ${CHROOT}/etc/fail2ban/jail.d/sshd.local
