# The network boot ROM as a shell library: DHCP and TFTP of PXE, then what the boot loader does that DHCP named: iPXE asks
# once more and reads its script, PXELINUX reads its configuration (pxelinux.sh).
# `boot` sources it. It sets rom_cmdline, and prints the reason of each failed attempt.
# DHCP options: 93 client architecture and 60 vendor class (RFC 4578), 77 user class "iPXE".
. "${CHASSIS:-/chassis}/pxelinux.sh"
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

rom_fetch() {   # URL FILE [SECONDS]: sets rom_why on failure
    case $1 in
        http://*) ;;
        tftp://*/*) rom_tftp "$@"; return ;;
        *) rom_why="no such address: $1"; return 1 ;;
    esac
    if wget -q -T 20 -O "$2" -- "$1" 2>$SCRATCH/wget.err; then return 0; fi
    rom_why=$(tr -d '\r' <$SCRATCH/wget.err | tail -n 1)
    return 1
}

rom_tftp() {   # URL FILE [SECONDS]
    from=${1#tftp://}
    if timeout "${3:-60}" tftp -b 1400 -g -r "${from#*/}" -l "$2" "${from%%/*}" 69 2>$SCRATCH/tftp.err; then return 0; fi
    rom_why=$(tr -d '\r' <$SCRATCH/tftp.err | tail -n 1)
    rom_why=${rom_why:-"no answer from ${from%%/*}"}
    return 1
}

# A boot file without a scheme is one of the DHCP answer's server.
rom_url() {   # FILE
    case $1 in *://*) printf %s "$1" ;; *) printf %s "tftp://$lease_server/${1#/}" ;; esac
}

# Interprets the iPXE commands of a boot script: set, initrd, kernel, boot, exit, sanboot, echo. Any other one would end
# the script with an error, and does so here.
rom_script() {   # FILE
    base=""; rom_initrds=""; rom_kernel_url=""; rom_cmdline=""; rom_action=""
    while IFS= read -r line || [ -n "$line" ]; do
        line=$(replaced "$(replaced "$line" '${base}' "$base")" '${next-server}' "$lease_server")
        set -f; set -- $line; set +f
        case "${1:-}" in
            '' | '#'*) ;;
            echo) shift; rom_say "$*" ;;
            set) [ "${2:-}" != base ] || base=${3:-} ;;
            initrd) for word in "$@"; do :; done; rom_initrds="$rom_initrds $word" ;;
            kernel) shift; rom_kernel_url=${1:-}; [ $# = 0 ] || shift; rom_cmdline=$* ;;
            boot | exit | sanboot) rom_action=$1; break ;;
            *) rom_action="$1: command not found"; break ;;
        esac
    done <"$1"
}

# One attempt failed: what people read on the console, and in `lab status`.
rom_failed() {   # STAGE TEXT [MORE]
    stage "$1" "$2"
    rom_say "$loader: $2${3:+ ($3)}"
    rom_say "$loader: trying again"
    return 1
}

rom_once() {   # KERNEL-FILE INITRD-FOLDER: status 0 if all was loaded, 1 to try again
    loader=PXE
    rom_say "PXE: $rom_card $rom_mac: DHCP..."
    rom_dhcp -V PXEClient:Arch:00000:UNDI:002001 -x 0x5d:0000 || {
        rom_failed pxe "no DHCP answer for $rom_mac: registered?" "on the SMS: wwsh node list"; return 1
    }
    rom_say "PXE: $lease_ip from $lease_server, loader $lease_file"
    rom_fetch "$(rom_url "$lease_file")" $SCRATCH/loader 10 || {
        rom_failed pxe "could not load $lease_file from $lease_server: $rom_why"; return 1
    }
    if is_pxelinux $SCRATCH/loader; then pxelinux "$(rom_url "$lease_file")" "$@"; else rom_ipxe "$@"; fi
}

rom_ipxe() {
    loader=iPXE
    rom_dhcp -V PXEClient:Arch:00000:UNDI:002001 -x 0x5d:0000 -x 0x4d:69505845 -x 0xaf:130101 || {
        rom_failed pxe "no DHCP answer for $rom_mac"; return 1
    }
    rom_say "iPXE: $lease_file"
    rom_fetch "$(rom_url "$lease_file")" $SCRATCH/loader || {
        case $lease_file in
            */WW/ipxe/cfg/*)
                rom_failed pxe "no boot script for $rom_mac: bootstrap assigned?" "$rom_why; on the SMS: wwsh provision list" ;;
            *) rom_failed pxe "could not load $lease_file: $rom_why" ;;
        esac
        return 1
    }
    if is_pxelinux $SCRATCH/loader; then pxelinux "$(rom_url "$lease_file")" "$@"; return; fi
    [ "$(head -c 6 $SCRATCH/loader)" = '#!ipxe' ] || {
        rom_failed pxe "$lease_file is no boot script: its first line is not #!ipxe"; return 1
    }
    rom_script $SCRATCH/loader
    case $rom_action in
        boot) ;;
        exit | sanboot) rom_failed pxe "told to boot from disk, but this chassis has none"; return 1 ;;
        *) rom_failed pxe "$lease_file: ${rom_action:-it ends without the command boot}"; return 1 ;;
    esac
    rom_load "$@"
}

rom_load() {   # KERNEL-FILE INITRD-FOLDER: fetches what rom_kernel_url and rom_initrds name
    stage bootstrap
    [ -n "$rom_kernel_url" ] || { rom_failed pxe "the boot entry names no kernel"; return 1; }
    rom_say "$loader: kernel $rom_kernel_url"
    rom_fetch "$rom_kernel_url" "$1" || { rom_failed bootstrap "kernel $rom_kernel_url: $rom_why"; return 1; }
    [ -n "$rom_initrds" ] || { rom_failed pxe "the boot entry names no initrd"; return 1; }
    rm -rf "$2" && mkdir "$2" && part=100
    set -f; set -- "$2" $rom_initrds; set +f
    into=$1; shift
    for url; do
        rom_say "$loader: initrd $url"
        rom_fetch "$url" "$into/$part" || { rom_failed bootstrap "initrd $url: $rom_why"; return 1; }
        part=$((part + 1))
    done
}

rom_until_booted() {   # KERNEL-FILE INITRD-FOLDER
    rom_find_card
    rom_hook
    until rom_once "$1" "$2"; do sleep 0.3; done
}
