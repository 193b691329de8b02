#: step modules on sms as user1
echo "drivers += kernel/net/" | sudo tee -a /etc/warewulf/bootstrap.conf
#: answer no to Yes/No>
sudo wwbootstrap $(uname -r)
