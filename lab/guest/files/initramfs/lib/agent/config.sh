# Configuration inside the new root: names, network, fstab, runtime support, drivers, files.

write_config() {
    echo "$WWNODENAME" >$NEWROOT/etc/hostname
    printf 'search localdomain\nnameserver %s\n' "${wwdns:-$wwmaster}" >$NEWROOT/etc/resolv.conf
    # The same identity at every boot, so that systemd does not take each boot for a first one.
    printf '%s' "$wwhwaddr" | md5sum | cut -c1-32 >$NEWROOT/etc/machine-id
    grep -q '^[^ ]* / ' $FSTAB || echo "tmpfs / tmpfs rw,relatime,mode=555 0 0" >>$FSTAB
    if [ ! -e $NEWROOT/etc/fstab ]; then cp $FSTAB $NEWROOT/etc/fstab
    else sed -i -e "/^#GENERATED_ENTRIES#/{r $FSTAB" -e 'd}' $NEWROOT/etc/fstab; fi
    # Where a reboot does not restart the uptime, slurmd must be told that this start is a new boot; where it
    # does, -b would make every restart of slurmd look like one.
    [ $uptime_of = own ] || sed -i 's/^SLURMD_OPTIONS="/&-b /' $NEWROOT/etc/default/slurmd
}

install_runtime() {
    [ "${WWNORUNTIMESERVICES:-0}" = 0 ] || return 1
    mkdir -p $NEWROOT/warewulf/bin $NEWROOT/warewulf/transports
    cp -a /warewulf/bin/. $NEWROOT/warewulf/bin/
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
    [ -d /lib/modules ] && ! shares_vnfs || return 1   # an overlay has them as a layer
    [ "${WWNOKMODCOPY:-0}" = 0 ] || return 1
    mkdir -p $NEWROOT/lib/modules
    cp -a /lib/modules/. $NEWROOT/lib/modules/
}

get_files() {
    WWROOT=$NEWROOT
    WWINIT_HWADDR=$wwhwaddr
    ww_sync_files 0 || return 2   # the node starts all the same; wwgetfiles tries again
}

# Logs and what the chassis shares move into the new root; the chassis's own folder does not.
leave_marks() {
    mkdir -p $NEWROOT/var/log/warewulf/provision
    for log in /run/provision.*.log; do
        name=${log#/run/provision.}
        cp "$log" "$NEWROOT/var/log/warewulf/provision/$name"
    done
    if [ -z "$in_chassis" ]; then
        do_as_udev
        mkdir -p $NEWROOT/run && mount -t tmpfs -o nosuid,nodev,mode=755,size=20% tmpfs $NEWROOT/run
        install_ssh_channel
        give_addresses
        # systemd then waits for no device to be announced by udev, and mounts what fstab names by itself.
        mount -o remount,bind,ro /sys
    fi
    for path in dev proc sys; do mkdir -p $NEWROOT/$path && mount --move /$path $NEWROOT/$path; done
    if [ -n "$in_chassis" ]; then
        mkdir -p $NEWROOT/run && mount -t tmpfs -o "nosuid,nodev,mode=755,size=$((mem_limit / 5))m" tmpfs $NEWROOT/run
        for path in home opt/ohpc/pub; do
            mkdir -p $NEWROOT/run/nfs/$path && mount --bind /nfs/$path $NEWROOT/run/nfs/$path
        done
        give_drivers
        umount /chassis
    fi
}
