# The lab's way into a virtual machine: ssh on a virtual serial port, beside the network and whatever becomes
# of it. The machine's maker tells its public key (smbios.sh).

# Below /run, which is fresh at each boot: nothing of this is on the node's disk or in its VNFS.
install_ssh_channel() {
    key=$(firmware_string door)
    [ -n "$key" ] || return 0
    units=$NEWROOT/run/systemd/system
    mkdir -p "$units/sysinit.target.wants" "$NEWROOT/run/rackling"
    cp -r /lib/ssh-channel "$NEWROOT/run/rackling/door"
    chmod 700 "$NEWROOT/run/rackling/door"
    echo "$key" >"$NEWROOT/run/rackling/door/authorized_keys"
    for unit in rackling-door rackling-clock; do
        mv "$NEWROOT/run/rackling/door/$unit.service" "$units/"
        ln -s "../$unit.service" "$units/sysinit.target.wants/"
    done
    # Debian's own waits until udev has named the console, and there is no udev here.
    mv "$NEWROOT/run/rackling/door/serial-getty.service" "$units/serial-getty@ttyS0.service"
}
