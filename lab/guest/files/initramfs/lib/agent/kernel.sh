# Kernel part of the boot agent: arguments, kernel file systems, drivers.
MODULES=/lib/modules
DRIVERS=/run/drivers   # in a chassis: the modules that a kernel of the node's own would have loaded

kernel_views() {
    mkdir -p /proc /sys /dev /run
    [ -e /proc/self ] || mount -t proc proc /proc
    [ -e /sys/kernel ] || mount -t sysfs sysfs /sys
    # /dev/console alone comes with the kernel; a whole system may bring files of devices.
    grep -q ' /dev ' /proc/mounts || mount -t devtmpfs devtmpfs /dev
    [ -x /bin/sh ] || busybox --install -s
}

# Only arguments that the agent knows become variables; their values are never evaluated.
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
    for module in $(cat /etc/warewulf/modprobe 2>/dev/null); do
        load_driver "$module" && say " * $module"
    done
    say "Detecting hardware:"
    if [ -n "$in_chassis" ]; then load_driver virtio_net && say " * virtio_net"; return; fi
    for alias in $(cat /sys/bus/pci/devices/*/modalias 2>/dev/null | sort -u); do modprobe "$alias" 2>/dev/null; done
    # Only virtio network cards (1) and entropy sources (4): drivers of disks must be named in bootstrap.conf.
    for alias in $(cat /sys/bus/virtio/devices/*/modalias 2>/dev/null | grep -E 'd0000000[14]v'); do
        modprobe "$alias" 2>/dev/null
    done
}

# A virtual machine's system has no udev. Loads the drivers of all devices and names GPUs, as udev would.
coldplug_devices() {
    for alias in $(cat /sys/bus/virtio/devices/*/modalias 2>/dev/null); do modprobe "$alias" 2>/dev/null; done
    name_gpus
}

# A virtual machine's emulated GPU is QEMU's plain display (1234:1111). Makes the device file that jobs are given.
name_gpus() {
    gpus=0
    for device in /sys/bus/pci/devices/*; do
        [ "$(cat "$device/vendor" "$device/device" 2>/dev/null | tr '\n' :)" = 0x1234:0x1111: ] || continue
        mknod -m 666 "/dev/nvidia$gpus" c 195 "$gpus"
        gpus=$((gpus + 1))
    done
}

# A chassis cannot load modules into a kernel. Their names are recorded, and the node's own modprobe loads them into
# the emulated list once its root exists (give_drivers).
load_driver() {   # NAME: fails if the bootstrap does not contain it
    if [ -z "$in_chassis" ]; then load_before "$1"; modprobe "$1" 2>/dev/null; return; fi
    if listed "$1" modules.dep; then module_name "$1" >>$DRIVERS; else listed "$1" modules.builtin; fi
}

# Loads modules that another one wants before it without depending on them, e.g. crc32c for ext4: busybox's modprobe
# ignores these, and the kernel cannot request them later.
load_before() {   # NAME
    for wanted in $(sed -n "s/^softdep $(module_name "$1") pre: \([^:]*\).*/\1/p" $MODULES/*/modules.softdep 2>/dev/null); do
        [ "$wanted" = post ] || modprobe "$wanted" 2>/dev/null
    done
}

driver_loaded() {   # NAME
    if [ -n "$in_chassis" ]; then grep -qsx "$(module_name "$1")" $DRIVERS || listed "$1" modules.builtin
    else [ -d "/sys/module/$(module_name "$1")" ]; fi
}

# In a subshell with globbing on: disk layouts run with globbing off.
listed() { (set +f; grep -qs "/$(printf %s "$1" | sed 's/[-_]/[-_]/g')\.ko" $MODULES/*/"$2") }   # NAME TABLE

module_name() { echo "$1" | tr - _; }   # the kernel's form of the name

give_drivers() {
    . /chassis/kernel.sh
    give_kernel "${NEWROOT:-/}" $(cat $DRIVERS 2>/dev/null) virtio_blk   # the node's udev finds the disk
    if grep -qs "/virtio_blk\.ko" $NEWROOT/lib/modules/*/modules.dep; then plug_disk; fi
}
