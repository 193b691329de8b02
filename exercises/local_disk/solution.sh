# SEMI-2: the system, swap and /tmp on the disk of the node, formatted at each boot.

#: step divide on sms as user1
sudo ssh c1 parted -l /dev/vda
sudo mkdir -p /etc/warewulf/filesystem
sudo tee /etc/warewulf/filesystem/jetstream.cmds <<'CMDS'
select /dev/vda
# Run by hand, once. At each boot they would need a new table, which would lose the first partition:
# mkpart primary ext4 3MiB 515MiB
# mkpart primary linux-swap 515MiB 2563MiB
# mkpart primary ext4 2563MiB 4611MiB
# mkpart primary ext4 4611MiB 100%
name 2 boot
name 3 swap
name 4 root
name 5 tmp
mkfs 2 ext4 -L boot
mkfs 3 swap
mkfs 4 ext4 -L root
mkfs 5 ext4 -L tmp
fstab 4 / ext4 defaults 0 0
fstab 2 /boot ext4 defaults 0 0
fstab 3 none swap defaults 0 0
fstab 5 /tmp ext4 defaults 0 0
CMDS
sudo ssh c1 parted --script /dev/vda $(echo $(grep mkpart /etc/warewulf/filesystem/jetstream.cmds | sed 's/#//g'))
sudo ssh c2 parted --script /dev/vda $(echo $(grep mkpart /etc/warewulf/filesystem/jetstream.cmds | sed 's/#//g'))
sudo ssh c1 parted -l /dev/vda

#: step assign on sms as user1
#: answer yes to Yes/No
sudo wwsh provision set 'c*' --filesystem=jetstream
wwsh provision print c1 | grep FS

#: step drivers on sms as user1
grep modprobe /etc/warewulf/bootstrap.conf
echo modprobe += virtio_blk | sudo tee -a /etc/warewulf/bootstrap.conf
echo modprobe += ext4 | sudo tee -a /etc/warewulf/bootstrap.conf
#: answer yes to Yes/No
sudo wwbootstrap $(uname -r)

#: step boot on sms as user1
sudo ssh c1 free -m
sudo scontrol reboot ASAP nextstate=RESUME c[1-2]
#: wait sudo ssh -o BatchMode=yes -o ConnectTimeout=2 c1 findmnt -n /dev/vda4 within 180
#: wait sudo ssh -o BatchMode=yes -o ConnectTimeout=2 c2 findmnt -n /dev/vda4 within 180
#: wait test "$(sinfo -hN -n c[1-2] -o %t | sort -u)" = idle within 120
sudo ssh c1 "df -h; free -m"
sudo ssh c1 swapon --show
sudo ssh c1 dd if=/dev/zero of=/tmp/foo bs=1M count=1024
sudo ssh c1 free -m
sinfo
