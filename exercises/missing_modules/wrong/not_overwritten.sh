#: step modules on sms as user1
echo "drivers += kernel/net/" | sudo tee -a /etc/warewulf/bootstrap.conf
#: answer no to Yes/No>
sudo wwbootstrap $(uname -r)
#: step boot on sms as user1
sudo ssh login touch /run/before
#: may-fail
sudo ssh login reboot
#: wait sudo ssh -o BatchMode=yes -o ConnectTimeout=2 login 'test ! -e /run/before' within 180
