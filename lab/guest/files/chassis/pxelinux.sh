# PXELINUX as a shell library: which configuration it reads, and what it loads by it. `pxe_rom.sh` sources it.
# The names of configurations, in their order, and the keywords are those of Syslinux's documentation (doc/pxelinux.txt
# and doc/syslinux.txt). Keywords that only concern people at a screen are passed over.

is_pxelinux() { grep -q PXELINUX "$1"; }   # FILE; its core begins with its name

pxelinux() {   # URL KERNEL-FILE INITRD-FOLDER: goes on as the loader from this URL
    loader=PXELINUX
    folder=${1%/*}; shift
    rom_fetch "$folder/ldlinux.c32" $SCRATCH/ldlinux || {
        rom_failed pxe "failed to load ldlinux.c32 from $folder: $rom_why"; return 1
    }
    pxelinux_find || {
        rom_failed pxe "no configuration for $rom_mac in $folder/pxelinux.cfg"; return 1
    }
    pxelinux_read $SCRATCH/config
    [ -n "$rom_kernel_url" ] || { rom_failed pxe "$folder/$found names no kernel for the label $label"; return 1; }
    case "$rom_kernel_url $rom_initrds" in
        *http://*) grep -q lwIP $SCRATCH/loader || {
            rom_failed pxe "$folder/$found: only lpxelinux.0 loads from http://"; return 1
        } ;;
    esac
    rom_load "$@"
}

# By MAC, then by address in hexadecimal digits, of which one less is looked at each time, then the default.
pxelinux_find() {
    mac=$(echo "$rom_mac" | tr 'A-Z:' 'a-z-')
    hex=$(printf '%02X%02X%02X%02X' $(echo "$lease_ip" | tr . ' '))
    names="01-$mac"
    while [ -n "$hex" ]; do names="$names $hex"; hex=${hex%?}; done
    for name in $names default; do
        found=pxelinux.cfg/$name
        if rom_fetch "$folder/$found" $SCRATCH/config; then rom_say "PXELINUX: $found"; return 0; fi
    done
    return 1
}

# Sets what to load for the label that DEFAULT names, or else the first one.
pxelinux_read() {   # FILE
    label=$(sed -n 's/^[[:blank:]]*[Dd][Ee][Ff][Aa][Uu][Ll][Tt][[:blank:]]*//p' "$1" | tr -d '\r' | tail -n 1)
    rom_kernel_url=""; rom_initrds=""; rom_cmdline=""; kernel=""; initrd=""; append=""; sysappend=0; here=""
    while IFS= read -r line || [ -n "$line" ]; do
        set -f; set -- $(printf %s "$line" | tr -d '\r'); set +f
        word=$(printf %s "${1:-}" | tr A-Z a-z); [ $# = 0 ] || shift
        case $word in
            label) here=${1:-}; label=${label:-$here}; continue ;;
            say) rom_say "$*"; continue ;;
            ipappend | sysappend) [ -n "$here" ] && [ "$here" != "$label" ] || sysappend=$(number "${1:-}"); continue ;;
        esac
        [ -n "$here" ] && [ "$here" = "$label" ] || continue
        case $word in
            kernel | linux) kernel=${1:-} ;;
            initrd) initrd=${1:-} ;;
            append) append=$* ;;
        esac
    done <"$1"
    pxelinux_entry
}

number() { case $1 in '' | *[!0-9]*) echo 0 ;; *) echo "$1" ;; esac; }   # TEXT

# Several initial file systems are named with commas between them.
pxelinux_entry() {
    [ -n "$kernel" ] || return 0
    case " $append " in *" initrd="*) rest=${append##*initrd=}; initrd=${initrd:-${rest%% *}} ;; esac
    rom_kernel_url=$(pxelinux_url "$kernel")
    set -f; set -- $(printf %s "$initrd" | tr , ' '); set +f
    for file; do rom_initrds="$rom_initrds $(pxelinux_url "$file")"; done
    rom_cmdline="BOOT_IMAGE=$kernel $append"
    [ $((sysappend & 1)) = 0 ] || rom_cmdline="$rom_cmdline ip=$lease_ip:$lease_server::$lease_mask"
    [ $((sysappend & 2)) = 0 ] || rom_cmdline="$rom_cmdline BOOTIF=01-$mac"
}

pxelinux_url() {   # FILE: of the loader's folder, unless it says another one
    case $1 in
        *://*) printf %s "$1" ;;
        ::* | /*) file=${1#::}; printf %s "tftp://$lease_server/${file#/}" ;;
        *) printf %s "$folder/$1" ;;
    esac
}
