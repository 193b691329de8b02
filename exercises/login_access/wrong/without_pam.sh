#: step admit on login as root
echo 'UsePAM no' > /etc/ssh/sshd_config.d/00-users.conf
systemctl restart ssh
