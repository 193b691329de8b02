# Shows a node the kernel that it booted, although the host's kernel runs in all nodes. `boot` calls present_kernel;
# the program that prepares the node's root calls give_kernel: `boot` for a disk, the boot agent for a VNFS.
DEV=${DEV:-/dev}                 # of the node; the chassis says where it has it
KERNEL=/dev/.kernel              # in the node: on /dev, so that df lists no further mount
PLACE=/usr/lib/rackling/kernel   # the same folder inside the node
STATE=/run/.kernel               # and for units that may not write to /usr (kernel.c)

# The banner (release, builder, version) is in the kernel file at the offset that its header gives (Linux,
# Documentation/arch/x86/boot.rst, kernel_version).
kernel_banner() {   # FILE
    [ "$(dd if="$1" bs=1 skip=514 count=4 status=none)" = HdrS ] || return 1
    at=$(($(od -An -tu2 -j 526 -N 2 "$1") + 512))
    dd if="$1" bs=1 skip=$at count=255 status=none | tr '\0' '\n' | head -n 1 | grep ' .*#'
}

present_kernel() {   # FILE; a file without a banner is shown as the host's kernel
    banner=$(kernel_banner "$1" 2>/dev/null) || banner="$(uname -r) $(uname -v)"
    shown=$DEV/.kernel
    mkdir -p $shown/module
    echo "${banner%% *}" >$shown/release
    echo "#${banner#*#}" >$shown/version
    echo "Linux version $banner" >$shown/banner
    echo 0 >$shown/modules_disabled
    : >$shown/modules
    cp /chassis/libkernelview.so $shown/
    echo $PLACE/libkernelview.so >$shown/preload
    mount --bind $shown/module /sys/module
    mount --bind $shown/banner /proc/version
    if [ -e /proc/modules ]; then mount --bind $shown/modules /proc/modules; else present_without_modules; fi
    mount --bind $shown/release /proc/sys/kernel/osrelease
    mount --bind $shown/version /proc/sys/kernel/version
    mount --bind $shown/modules_disabled /proc/sys/kernel/modules_disabled
}

# Without loadable modules, the host's kernel lacks two files in procfs, where none can be added. So a library opens
# the list of modules instead, and /proc/sys/kernel becomes a copy; its files that change are the host's own.
present_without_modules() {
    cp /chassis/libprocview.so $shown/
    echo $PLACE/libprocview.so >>$shown/preload
    cp -r /proc/sys/kernel $shown/sysctl 2>/dev/null
    : >$shown/sysctl/modules_disabled
    for name in hostname domainname ns_last_pid random keys pty; do
        mount --rbind /proc/sys/kernel/$name $shown/sysctl/$name
    done
    mount --rbind $shown/sysctl /proc/sys/kernel
    mount -o remount,bind,ro /proc/sys/kernel
}

# Preloads the library into every program of the system in ROOT, and loads the named modules and those of
# modules-load.d(5): systemd does so only with a capability (CAP_SYS_MODULE) that nodes do not have.
give_kernel() {   # ROOT MODULE...
    for place in $PLACE $STATE; do mkdir -p "$1$place" && mount --rbind "$1$KERNEL" "$1$place"; done
    [ -e "$1/etc/ld.so.preload" ] || : >"$1/etc/ld.so.preload"
    mount --bind "$1$KERNEL/preload" "$1/etc/ld.so.preload"
    root=$1; shift
    named=$(cat "$root"/etc/modules-load.d/*.conf 2>"$root/dev/null" | sed 's/[#;].*//')
    # By its full path, or the boot agent's busybox would run its own modprobe.
    chroot "$root" /sbin/modprobe -qab -- "$@" $named 2>"$root/dev/null"
}
