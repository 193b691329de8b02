# Kernel side of the boot agent: arguments, kernel file systems, drivers.
MODULES=/lib/modules
DRIVERS=/run/drivers   # in a chassis: what a kernel would have loaded

kernel_views() {
    mkdir -p /proc /sys /dev /run
    [ -e /proc/self ] || mount -t proc proc /proc
    [ -e /sys/kernel ] || mount -t sysfs sysfs /sys
    [ -c /dev/null ] || mount -t devtmpfs devtmpfs /dev   # /dev/console alone comes with the kernel
    [ -x /bin/sh ] || busybox --install -s
}

# Only names the agent knows become variables; the value is never run.
read_arguments() {
    in_chassis=""; ww_root=ram; uptime_of=own; initrd_key=""; mem_limit=""; console_arg=""
    wwmaster=""; wwipaddr=""; wwnetmask=""; wwnetdev=eth0; wwhwaddr=""; wwhostname=""; wwgateway=""; wwmtu=""; wwdns=""
    for argument in $(cat /proc/cmdline); do
        value=${argument#*=}
        case "$argument" in
            lab.chassis) in_chassis=1 ;;
            lab.root=*) ww_root=$value ;;
            lab.initrd=*) initrd_key=$value ;;
            lab.uptime=*) uptime_of=$value ;;
            mem=*M) mem_limit=${value%M} ;;
            wwmaster=*) wwmaster=$value ;;
            wwipaddr=*) wwipaddr=$value ;;
            wwnetmask=*) wwnetmask=$value ;;
            wwnetdev=*) wwnetdev=$value ;;
            wwhwaddr=*) wwhwaddr=$value ;;
            wwhostname=*) wwhostname=$value ;;
            wwgateway=*) wwgateway=$value ;;
            wwmtu=*) wwmtu=$value ;;
            wwdns=*) wwdns=$value ;;
        esac
    done
    [ -n "$wwhostname" ] && hostname "$wwhostname"
}

load_drivers() {
    say "Loading drivers:"
    while read -r module; do
        [ -n "$module" ] && load_driver "$module" && say " * $module"
    done </etc/warewulf/modprobe
    say "Detecting hardware:"
    if [ -n "$in_chassis" ]; then load_driver virtio_net && say " * virtio_net"; return; fi
    for alias in $(cat /sys/bus/pci/devices/*/modalias 2>/dev/null | sort -u); do modprobe "$alias" 2>/dev/null; done
    # Of virtual devices only cards (1) and the source of randomness (4): disks are for bootstrap.conf to ask for.
    for alias in $(cat /sys/bus/virtio/devices/*/modalias 2>/dev/null | grep -E 'd0000000[14]v'); do
        modprobe "$alias" 2>/dev/null
    done
}

# A virtual machine's system has no udev: what that would do once it runs, drivers for every device there is and
# names for GPUs, is done for it.
do_as_udev() {
    for alias in $(cat /sys/bus/virtio/devices/*/modalias 2>/dev/null); do modprobe "$alias" 2>/dev/null; done
    name_gpus
}

# A GPU of a virtual machine is a display that nothing answers behind (1234:1111, QEMU's), known by the character
# device that jobs are given.
name_gpus() {
    gpus=0
    for device in /sys/bus/pci/devices/*; do
        [ "$(cat "$device/vendor" "$device/device" 2>/dev/null | tr '\n' :)" = 0x1234:0x1111: ] || continue
        mknod -m 666 "/dev/nvidia$gpus" c 195 "$gpus"
        gpus=$((gpus + 1))
    done
}

# In a chassis there is no kernel to load into: what one would have taken is written down, and given to the node's
# own modprobe once its root is there (give_drivers).
load_driver() {   # NAME: fails when the bootstrap does not carry it
    if [ -z "$in_chassis" ]; then load_before "$1"; modprobe "$1" 2>/dev/null; return; fi
    if listed "$1" modules.dep; then module_name "$1" >>$DRIVERS; else listed "$1" modules.builtin; fi
}

# What a module wants loaded first without depending on it, as crc32c for ext4: busybox's modprobe leaves it out, and
# no kernel finds a modprobe here to ask for it later.
load_before() {   # NAME
    for wanted in $(sed -n "s/^softdep $(module_name "$1") pre: \([^:]*\).*/\1/p" $MODULES/*/modules.softdep 2>/dev/null); do
        [ "$wanted" = post ] || modprobe "$wanted" 2>/dev/null
    done
}

driver_loaded() {   # NAME
    if [ -n "$in_chassis" ]; then grep -qsx "$(module_name "$1")" $DRIVERS || listed "$1" modules.builtin
    else [ -d "/sys/module/$(module_name "$1")" ]; fi
}

# In a shell of its own: a disk layout is run with file names taken literally.
listed() { (set +f; grep -qs "/$(printf %s "$1" | sed 's/[-_]/[-_]/g')\.ko" $MODULES/*/"$2") }   # NAME TABLE

module_name() { echo "$1" | tr - _; }   # as the kernel knows it

give_drivers() {
    . /chassis/kernel.sh
    give_kernel $NEWROOT $(cat $DRIVERS) virtio_blk   # the node's udev finds the disk
    if grep -qs "/virtio_blk\.ko" $NEWROOT/lib/modules/*/modules.dep; then plug_disk; fi
}
