#: step boot on login as root
yum -y install fail2ban
printf '%s\n' '[sshd]' 'enabled = true' > /etc/fail2ban/jail.d/sshd.local
echo "authpriv.* /var/log/secure" > /etc/rsyslog.d/authpriv-local.conf
systemctl restart rsyslog
systemctl enable --now fail2ban
#: wait fail2ban-client status sshd within 60
