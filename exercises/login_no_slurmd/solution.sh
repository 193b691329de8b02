# LOGIN-5: a condition in the VNFS starts slurmd only on nodes called c* and g*.

#: step condition on login as root
systemctl stop slurmd
printf '%s\n' '[Unit]' 'ConditionHost=|c*' 'ConditionHost=|g*' | systemctl edit --stdin slurmd
systemctl cat slurmd
systemctl start slurmd
# systemctl exits with status 3 if a service is not active.
#: expect-fail
systemctl --no-pager status slurmd

#: step image on sms as user1
echo $CHROOT
sudo mkdir -p ${CHROOT}/etc/systemd/system/slurmd.service.d/
sudo scp login:/etc/systemd/system/slurmd.service.d/override.conf ${CHROOT}/etc/systemd/system/slurmd.service.d/
sudo wwvnfs --chroot=${CHROOT}

#: step boot on sms as user1
#: may-fail
sudo ssh login reboot
#: may-fail
sudo ssh c1 reboot
#: wait sinfo -hN -n c1 -o %t | grep -qx down within 120
sudo ssh c1 systemctl show slurmd -p ActiveState,ConditionResult
#: wait sudo ssh -o BatchMode=yes -o ConnectTimeout=2 login sinfo within 120
sudo ssh login systemctl show slurmd -p ActiveState,ConditionResult
sudo ssh login sinfo

#: step aftermath on sms as user1
sinfo
sinfo -R
