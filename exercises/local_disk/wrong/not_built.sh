#: step drivers on sms as user1
echo modprobe += virtio_blk | sudo tee -a /etc/warewulf/bootstrap.conf
echo modprobe += ext4 | sudo tee -a /etc/warewulf/bootstrap.conf
