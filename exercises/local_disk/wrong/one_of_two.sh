#: step divide on sms as user1
sudo mkdir -p /etc/warewulf/filesystem
sudo tee /etc/warewulf/filesystem/jetstream.cmds <<'CMDS'
select /dev/vda
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
sudo ssh c1 parted --script /dev/vda mkpart primary ext4 3MiB 515MiB mkpart primary linux-swap 515MiB 2563MiB mkpart primary ext4 2563MiB 4611MiB mkpart primary ext4 4611MiB 100%
sudo wwsh -y provision set 'c*' --filesystem=jetstream
