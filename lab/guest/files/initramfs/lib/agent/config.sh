# Configuration inside the new root: names, network, fstab, runtime support, drivers, files.

write_config() {
    echo "$WWNODENAME" >$NEWROOT/etc/hostname
    printf 'search localdomain\nnameserver %s\n' "${wwdns:-$wwmaster}" >$NEWROOT/etc/resolv.conf
    # The same machine ID at every boot, so that systemd does not treat each boot as the first one. The key of the lab's
    # nodes makes it the lab's own: addresses of cards are the same in all labs.
    { printf '%s' "$wwhwaddr"; cat $NEWROOT/etc/ssh/ssh_host_ed25519_key.pub; } 2>/dev/null | md5sum | cut -c1-32 \
        >$NEWROOT/etc/machine-id
    grep -q '^[^ ]* / ' $FSTAB || echo "tmpfs / tmpfs rw,relatime,mode=555 0 0" >>$FSTAB
    if [ ! -e $NEWROOT/etc/fstab ]; then cp $FSTAB $NEWROOT/etc/fstab
    else sed -i -e "/^#GENERATED_ENTRIES#/{r $FSTAB" -e 'd}' $NEWROOT/etc/fstab; fi
    # If the uptime continues over a reboot, slurmd needs -b to report a new boot. Otherwise -b must not be set: every
    # restart of slurmd would look like a reboot.
    [ $uptime_of = own ] || sed -i 's/^SLURMD_OPTIONS="/&-b /' $NEWROOT/etc/default/slurmd
}

install_runtime() {
    [ "${WWNORUNTIMESERVICES:-0}" = 0 ] || return 1
    mkdir -p $NEWROOT/warewulf/bin $NEWROOT/warewulf/transports
    cp -a ${AGENT:-}/warewulf/bin/. $NEWROOT/warewulf/bin/
    mkdir -p $NEWROOT/etc/cron.d
    echo "*/5 * * * * root /warewulf/bin/wwgetfiles >/dev/null 2>&1" >$NEWROOT/etc/cron.d/wwupdatefiles
    {
        echo "WWINIT_HWADDR=\"$wwhwaddr\""
        echo "WWMASTER=\"$wwmaster\""
        echo "WWTRANSPORT=\"http\""
        echo "WWNODENAME=\"$WWNODENAME\""
        echo "WWCLUSTER=\"${WWCLUSTER:-}\""
        echo "WWDOMAIN=\"${WWDOMAIN:-}\""
        echo "WWGROUPS=\"${WWGROUPS:-}\""
        echo "WWFQDN=\"${WWFQDN:-$WWNODENAME}\""
        echo "export WWINIT_HWADDR WWMASTER WWTRANSPORT WWNODENAME WWCLUSTER WWDOMAIN WWGROUPS WWFQDN"
    } >$NEWROOT/warewulf/config
}

copy_modules() {
    [ -d /lib/modules ] && ! shares_vnfs || return 1   # in an overlay they are a layer
    [ "${WWNOKMODCOPY:-0}" = 0 ] || return 1
    mkdir -p $NEWROOT/lib/modules
    cp -a /lib/modules/. $NEWROOT/lib/modules/
}

get_files() {
    WWROOT=$NEWROOT
    WWINIT_HWADDR=$wwhwaddr
    ww_sync_files 0 || return 2   # continue: wwgetfiles will try again
}

# Moves logs and the chassis's shared folders into the new root, but not the chassis's own folder.
prepare_switch_root() {
    keep_logs
    [ -n "$in_chassis" ] || prepare_machine
    for path in dev proc sys; do mkdir -p $NEWROOT/$path && mount --move /$path $NEWROOT/$path; done
    [ -z "$in_chassis" ] || prepare_in_chassis
}

keep_logs() {
    mkdir -p $NEWROOT/var/log/warewulf/provision
    for log in /run/provision.*.log; do
        name=${log#/run/provision.}
        cp "$log" "$NEWROOT/var/log/warewulf/provision/$name"
    done
}

prepare_machine() {
    coldplug_devices
    mkdir -p $NEWROOT/run && mount -t tmpfs -o nosuid,nodev,mode=755,size=20% tmpfs $NEWROOT/run
    install_ssh_channel
    give_addresses
    # With a read-only /sys, systemd expects no udev: it does not wait for devices and mounts fstab itself.
    mount -o remount,bind,ro /sys
}

prepare_in_chassis() {
    mkdir -p $NEWROOT/run && mount -t tmpfs -o "nosuid,nodev,mode=755,size=$((mem_limit / 5))m" tmpfs $NEWROOT/run
    for path in home opt/ohpc/pub; do
        mkdir -p $NEWROOT/run/nfs/$path && mount --bind /nfs/$path $NEWROOT/run/nfs/$path
    done
    give_drivers
    # The initramfs stays below the new root, where root in the node reaches it.
    for path in chassis nfs cache; do umount -l /$path 2>/dev/null; done
}
