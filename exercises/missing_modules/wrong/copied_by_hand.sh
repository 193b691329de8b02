#: step modules on sms as user1
echo "drivers += kernel/net/" | sudo tee -a /etc/warewulf/bootstrap.conf
#: step boot on sms as user1
tar -C /lib/modules/$(uname -r) -c kernel/net kernel/lib | sudo ssh login "tar -x -C /lib/modules/$(uname -r) --no-same-owner && depmod"
sudo ssh login "modprobe nf_tables && modprobe nft_ct && systemctl restart firewalld && firewall-cmd --state"
