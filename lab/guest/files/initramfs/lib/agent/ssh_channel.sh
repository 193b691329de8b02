# The lab's shell access to a virtual machine: ssh on a virtual serial port, independent of the node's network. The
# harness passes its public key in a firmware string (smbios.sh).
#
# Machines that were saved before the folder /lib/ssh-channel had this name are still entered. So the names in a
# running machine stay: port and string rackling.door, folder /run/rackling/door, unit rackling-door.

# Installs to /run, which is empty at each boot: nothing is written to the node's disk or VNFS.
install_ssh_channel() {
    key=$(firmware_string door)
    [ -n "$key" ] || return 0
    units=$NEWROOT/run/systemd/system
    mkdir -p "$units/sysinit.target.wants" "$NEWROOT/run/rackling"
    cp -r "${AGENT:-}/lib/ssh-channel" "$NEWROOT/run/rackling/door"
    chmod 700 "$NEWROOT/run/rackling/door"
    echo "$key" >"$NEWROOT/run/rackling/door/authorized_keys"
    for unit in rackling-door rackling-clock; do
        mv "$NEWROOT/run/rackling/door/$unit.service" "$units/"
        ln -s "../$unit.service" "$units/sysinit.target.wants/"
    done
    # Replaces Debian's unit, which waits until udev announces the console; there is no udev here.
    mv "$NEWROOT/run/rackling/door/serial-getty.service" "$units/serial-getty@ttyS0.service"
}
