# SEC-3: firewalld needs kernel modules that are not in the bootstrap; with them, bans are enforced.

#: step modules on sms as user1
#: expect-fail
sudo ssh login systemctl --no-pager status firewalld
uname -r
sudo ssh login uname -r
sudo ssh login "sysctl -a 2>/dev/null | grep modules_disabled"
lsmod | grep nf
#: expect-fail
sudo ssh login "lsmod | grep nf_"
find /lib/modules/$(uname -r) -name '*nf_tables*'
sudo ssh login "find /lib/modules -name '*nf_tables*'"
#: expect-fail
grep kernel/net /etc/warewulf/bootstrap.conf
echo "drivers += kernel/net/" | sudo tee -a /etc/warewulf/bootstrap.conf
#: answer yes to Yes/No>
sudo wwbootstrap $(uname -r)

#: step boot on sms as user1
#: may-fail
sudo ssh login reboot
#: wait sudo ssh -o BatchMode=yes -o ConnectTimeout=2 login 'firewall-cmd --state && fail2ban-client ping' within 180
sudo ssh login systemctl --no-pager status firewalld
sudo ssh login firewall-cmd --state
sudo ssh login "lsmod | grep nf_tables"

#: step ban on outside as root
# It ends with an error, because the login node refuses its last connections.
#: may-fail
guess-passwords login 8

#: step ban on sms as user1
sudo ssh login fail2ban-client status sshd
sudo ssh login grep Ban /var/log/fail2ban.log

#: step ban on outside as root
#: expect-fail
ssh user1@login

#: step pardon on sms as user1
sudo ssh login fail2ban-client set sshd unbanip $OUTSIDE_IP
sudo ssh login fail2ban-client status sshd

#: step pardon on outside as root
guess-passwords login 1
