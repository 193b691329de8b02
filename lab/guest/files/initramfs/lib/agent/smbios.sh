# What only its maker tells a virtual machine, among the firmware's strings (SMBIOS, type 11): the key of the lab's way
# in, and addresses that come with a card, as a cloud's do.

firmware_string() {   # NAME: the value of a string rackling.NAME=VALUE
    [ -r /sys/firmware/dmi/tables/DMI ] || return 0
    strings -n 8 /sys/firmware/dmi/tables/DMI | sed -n "s/^rackling\.$1=//p" | head -n 1
}

give_addresses() {
    for card in $(firmware_string addresses); do
        ip link set "${card%%=*}" up && ip addr replace "${card#*=}" brd + dev "${card%%=*}"
    done
}
