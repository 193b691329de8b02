#: step install on login as root
yum -y install fail2ban
systemctl enable fail2ban firewalld
#: step jail on login as root
printf '%s\n' '[sshd]' 'enabled = true' > /etc/fail2ban/jail.d/sshd.local
