# The network boot ROM as a shell library: DHCP and TFTP of PXE, then DHCP, script and downloads of iPXE.
# `boot` sources it. It sets rom_cmdline, and prints the reason of each failed attempt.
# DHCP options: 93 client architecture and 60 vendor class (RFC 4578), 77 user class "iPXE".
SCRATCH=${SCRATCH:-/run/chassis/scratch}
rom_card=eth0
rom_mac=""

rom_say() { printf '%s\r\n' "$*"; }

rom_find_card() {   # waits for the card on the internal network, whose name the chassis knows
    rom_card=$LAB_BOOT_CARD
    until rom_mac=$(cat "/sys/class/net/$rom_card/address" 2>/dev/null); do
        [ -n "${rom_warned:-}" ] || { rom_say "$rom_card: no cable"; rom_warned=1; }
        sleep 0.05
    done
    ip link set "$rom_card" up
    ip link set lo up
}

# Makes the script that udhcpc runs with the lease in its environment: it writes one line for each value. Servers are not
# trusted: a value keeps no line break, no blank, and nothing that a shell would interpret.
rom_hook() {
    cat >$SCRATCH/dhcp-hook <<'HOOK'
#!/bin/busybox sh
[ "$1" = bound ] || [ "$1" = renew ] || exit 0
value() { printf '%s' "$1" | busybox head -c 200 | busybox tr -cd 'A-Za-z0-9_=./:@-'; echo; }
{
    value "$ip"; value "$mask"; value "${siaddr:-$serverid}"
    value "$(printf %s "${boot_file:-}" | busybox sed 's/${mac}/@MAC@/')"
} >/run/chassis/scratch/lease
HOOK
    chmod 755 $SCRATCH/dhcp-hook
}

rom_dhcp() {   # [UDHCPC-OPTION...]: sets lease_ip lease_mask lease_server lease_file
    rm -f $SCRATCH/lease
    busybox udhcpc -i "$rom_card" -q -n -f -t 3 -T 1 -A 0 -s $SCRATCH/dhcp-hook "$@" >/dev/null 2>&1
    [ -s $SCRATCH/lease ] || return 1
    { read -r lease_ip; read -r lease_mask; read -r lease_server; read -r lease_file; } <$SCRATCH/lease
    case "$lease_ip$lease_mask$lease_server" in *[!0-9.]*) return 1 ;; esac
    lease_file=$(replaced "$lease_file" @MAC@ "$rom_mac")   # iPXE expands ${mac}
    ip addr flush dev "$rom_card"
    ip addr add "$lease_ip/$lease_mask" dev "$rom_card"
}

replaced() {   # TEXT WORD VALUE: the text with each WORD replaced; sed would interpret what VALUE contains
    rest=$1; out=""
    while :; do
        case $rest in *"$2"*) ;; *) break ;; esac
        out=$out${rest%%"$2"*}$3
        rest=${rest#*"$2"}
    done
    printf '%s' "$out$rest"
}

rom_fetch() {   # URL FILE: sets rom_why on failure
    case $1 in http://*) ;; *) rom_why="no such address: $1"; return 1 ;; esac
    if wget -q -T 20 -O "$2" -- "$1" 2>$SCRATCH/wget.err; then return 0; fi
    rom_why=$(tr -d '\r' <$SCRATCH/wget.err | tail -n 1)
    return 1
}

# Interprets the iPXE commands that the SMS writes: set, initrd, kernel, boot, exit, sanboot, echo.
rom_script() {   # FILE
    base=""; initrd_url=""; rom_kernel_url=""; rom_cmdline=""; rom_action=""
    while IFS= read -r line; do
        line=$(replaced "$(replaced "$line" '${base}' "$base")" '${next-server}' "$lease_server")
        set -f; set -- $line; set +f
        case "${1:-}" in
            echo) shift; rom_say "$*" ;;
            set) [ "$2" = base ] && base=$3 ;;
            initrd) for initrd_url in "$@"; do :; done ;;
            kernel) shift; rom_kernel_url=$1; shift; rom_cmdline=$* ;;
            boot | exit | sanboot) rom_action=$1; break ;;
        esac
    done <"$1"
}

rom_once() {   # KERNEL-FILE INITRD-FILE: status 0 if both were loaded, 1 to try again
    rom_say "PXE: $rom_card $rom_mac: DHCP..."
    if ! rom_dhcp -V PXEClient:Arch:00000:UNDI:002001 -x 0x5d:0000; then
        stage pxe "no DHCP answer for $rom_mac: registered?"
        rom_say "PXE: no DHCP answer for $rom_mac. Is this MAC registered on the SMS (wwsh node list)? Trying again."
        return 1
    fi
    rom_say "PXE: $lease_ip from $lease_server, loader $lease_file"
    if ! timeout 10 tftp -g -r "$lease_file" -l $SCRATCH/loader "$lease_server" 69 2>/dev/null; then
        stage pxe "TFTP failed"
        rom_say "PXE: could not load $lease_file from $lease_server by TFTP. Trying again."
        return 1
    fi
    rm -f $SCRATCH/loader
    rom_ipxe "$@"
}

rom_ipxe() {
    if ! rom_dhcp -V PXEClient:Arch:00000:UNDI:002001 -x 0x5d:0000 -x 0x4d:69505845 -x 0xaf:130101; then
        rom_say "iPXE: no DHCP answer. Trying again."; return 1
    fi
    rom_say "iPXE: $lease_file"
    if ! rom_fetch "$lease_file" $SCRATCH/ipxe; then
        stage pxe "no boot script for $rom_mac: bootstrap assigned?"
        rom_say "iPXE: no boot script for $rom_mac ($rom_why)."
        rom_say "iPXE: does the node have a bootstrap (wwsh provision list)? Trying again."
        return 1
    fi
    rom_script $SCRATCH/ipxe
    if [ "$rom_action" != boot ]; then
        stage pxe "told to boot from disk"
        rom_say "iPXE: the script says to boot from the local disk, but this chassis has none. Trying again."; return 1
    fi
    stage bootstrap
    rom_say "iPXE: kernel $rom_kernel_url"
    rom_fetch "$rom_kernel_url" "$1" || { rom_say "iPXE: kernel: $rom_why"; return 1; }
    rom_say "iPXE: initrd $initrd_url"
    rom_fetch "$initrd_url" "$2" || { rom_say "iPXE: initrd: $rom_why"; return 1; }
}

rom_until_booted() {   # KERNEL-FILE INITRD-FILE
    rom_find_card
    rom_hook
    until rom_once "$1" "$2"; do sleep 0.3; done
}
