# The kernel a node booted, for the node to see: the host's own runs in all of them. `boot` presents it, and
# whoever makes the node's root gives it to the programs there: `boot` for a disk, the boot agent for a VNFS.
KERNEL=/dev/.kernel              # on /dev, so that df has no line more
PLACE=/usr/lib/rackling/kernel   # the same folder in the node, and where units write that may not do so in /usr
STATE=/run/.kernel               # (kernel.c)

# Release, builder and version stand in the file itself, where its header says (Linux,
# Documentation/arch/x86/boot.rst, kernel_version).
kernel_banner() {   # FILE
    [ "$(dd if="$1" bs=1 skip=514 count=4 status=none)" = HdrS ] || return 1
    at=$(($(od -An -tu2 -j 526 -N 2 "$1") + 512))
    dd if="$1" bs=1 skip=$at count=255 status=none | tr '\0' '\n' | head -n 1 | grep ' .*#'
}

present_kernel() {   # FILE; one that does not say what it is appears as the host's
    banner=$(kernel_banner "$1" 2>/dev/null) || banner="$(uname -r) $(uname -v)"
    rm -rf $KERNEL   # /dev is the chassis's, and has that of the boot before
    mkdir -p $KERNEL/module
    echo "${banner%% *}" >$KERNEL/release
    echo "#${banner#*#}" >$KERNEL/version
    echo "Linux version $banner" >$KERNEL/banner
    echo 0 >$KERNEL/modules_disabled
    : >$KERNEL/modules
    cp /chassis/libkernelview.so $KERNEL/
    echo $PLACE/libkernelview.so >$KERNEL/preload
    mount --bind $KERNEL/module /sys/module
    mount --bind $KERNEL/banner /proc/version
    if [ -e /proc/modules ]; then mount --bind $KERNEL/modules /proc/modules; else present_without_modules; fi
    mount --bind $KERNEL/release /proc/sys/kernel/osrelease
    mount --bind $KERNEL/version /proc/sys/kernel/version
    mount --bind $KERNEL/modules_disabled /proc/sys/kernel/modules_disabled
}

# A host's kernel without loadable modules lacks two names in procfs, where nobody can add any. So a library leads
# programs to the list of modules, and /proc/sys/kernel becomes a copy, in which what changes is the host's own.
present_without_modules() {
    cp /chassis/libprocview.so $KERNEL/
    echo $PLACE/libprocview.so >>$KERNEL/preload
    cp -r /proc/sys/kernel $KERNEL/sysctl 2>/dev/null
    : >$KERNEL/sysctl/modules_disabled
    for name in hostname domainname ns_last_pid random keys pty; do
        mount --rbind /proc/sys/kernel/$name $KERNEL/sysctl/$name
    done
    mount --rbind $KERNEL/sysctl /proc/sys/kernel
    mount -o remount,bind,ro /proc/sys/kernel
}

# Every program of the system in ROOT starts with the library and finds modules loaded: those that are named, and
# those that modules-load.d(5) names, since systemd does this only with a right that no node has.
give_kernel() {   # ROOT MODULE...
    for place in $PLACE $STATE; do mkdir -p "$1$place" && mount --rbind "$1$KERNEL" "$1$place"; done
    [ -e "$1/etc/ld.so.preload" ] || : >"$1/etc/ld.so.preload"
    mount --bind "$1$KERNEL/preload" "$1/etc/ld.so.preload"
    root=$1; shift
    named=$(cat "$root"/etc/modules-load.d/*.conf 2>"$root/dev/null" | sed 's/[#;].*//')
    # By its whole name, or the boot agent's busybox would be its own modprobe.
    chroot "$root" /sbin/modprobe -qab -- "$@" $named 2>"$root/dev/null"
}
