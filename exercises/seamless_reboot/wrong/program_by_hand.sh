#: step program on sms as user1
printf '%s\n' '#!/bin/sh' 'exec /sbin/shutdown -r now' | sudo ssh c1 install -m 755 /dev/stdin /usr/local/sbin/reboot-node
echo 'RebootProgram=/usr/local/sbin/reboot-node' | sudo tee -a /etc/slurm/slurm.conf
sudo scontrol reconfigure
#: wait scontrol show config | grep -q reboot-node within 30
