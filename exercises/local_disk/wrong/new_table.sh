#: step divide on sms as user1
sudo ssh c1 parted --script /dev/vda mklabel gpt mkpart loader 1MiB 3MiB mkpart primary ext4 3MiB 515MiB mkpart primary linux-swap 515MiB 2563MiB mkpart primary ext4 2563MiB 4611MiB mkpart primary ext4 4611MiB 100%
sudo ssh c2 parted --script /dev/vda mkpart primary ext4 3MiB 515MiB mkpart primary linux-swap 515MiB 2563MiB mkpart primary ext4 2563MiB 4611MiB mkpart primary ext4 4611MiB 100%
