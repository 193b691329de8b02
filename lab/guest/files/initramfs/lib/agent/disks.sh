# Disk layouts: runs the commands that `wwsh provision set --filesystem` stored in the node, at every boot.
# As in Warewulf 3: parted's commands are collected and run once before the first mkfs or fstab; a line is written to
# /etc/fstab before the mount is attempted; the layout stops at the first step that fails, but the boot continues.
FSTAB=/run/fstab.generated
disk_root=""   # set if / is on a disk

make_root() {
    mkdir -p $NEWROOT
    : >$FSTAB
    case ",${WWFS:-}," in
        *",fstab "*" / "*) ;;
        *) make_memory_root || return 9 ;;
    esac
    [ -z "${WWFS:-}" ] || run_layout || return 2
}

run_layout() {
    layout_disk=""; parted_words=""
    set -f; IFS=,
    for command in $WWFS; do
        unset IFS
        layout_command $command || { set +f; return 2; }
    done
    unset IFS
    run_parted; done=$?
    set +f
    return $done
}

layout_command() {   # WORD...: `select`, `mkfs` or `fstab` of Warewulf, or a command of parted
    case $1 in
        select) run_parted && layout_disk=$2 && await_disk ;;
        mkfs) shift; run_parted && format "$@" ;;
        fstab) shift; run_parted && add_fstab "$@" ;;
        raid*) result "$*" SKIPPED ;;
        *) parted_words="$parted_words $*" ;;
    esac
}

result() { say "$(printf '   %-66s %s' "$1" "$2")"; }   # TEXT STATUS

# task TEXT COMMAND...: prints OK or ERROR; after an error also the last line that the command wrote.
task() {
    text=$1; shift
    if "$@" >/run/task.log 2>&1; then result "$text" OK; cat /run/task.log; return 0; fi
    result "$text" ERROR
    say "     $(tail -n 1 /run/task.log)"
    cat /run/task.log
    return 1
}

await_block() {   # DEVICE: waits until it exists; devices appear some time after the command that makes them
    waited=0
    until [ -b "$1" ]; do
        waited=$((waited + 1)); [ $waited -le $((${WWDISKWAIT:-5} * 10)) ] || return 1
        sleep 0.1
    done
}

await_disk() {
    await_block "$layout_disk" && return 0
    result "$layout_disk not ready, retrying....." ERROR
    return 1
}

run_parted() {
    [ -n "$parted_words" ] || return 0
    words=$parted_words; parted_words=""
    task "running parted on $layout_disk" parted --align=optimal --script "$layout_disk" $words
}

format() {   # NUMBER TYPE [OPTION...]
    device=$layout_disk$1; type=$2; shift 2
    await_block "$device"
    case $type in
        swap) task "formatting $device" mkswap "$@" "$device" ;;
        ext2 | ext3 | ext4) task "formatting $device" "mkfs.$type" -F -q "$@" "$device" ;;
        xfs) task "formatting $device" mkfs.xfs -f -q "$@" "$device" ;;
        vfat) task "formatting $device" mkfs.vfat "$@" "$device" ;;
        *) result "formatting $device" SKIPPED ;;
    esac
}

add_fstab() {   # NUMBER FOLDER TYPE OPTIONS FREQ PASS: OPTIONS have colons for commas, as the datastore keeps them
    case $1 in
        *[!0-9p]*) device=$1 ;;   # LABEL=…, UUID=…, tmpfs
        *) device=$layout_disk$1 ;;
    esac
    options=$(echo "$4" | tr : ,)
    echo "$device $2 $3 $options $5 $6" >>$FSTAB
    if [ "$3" = swap ]; then result "mounting $2" SKIPPED; return 0; fi
    mkdir -p "$NEWROOT$2"
    task "mounting $2" mount_device "$device" "${NEWROOT}${2%/}" "$3" "$options" || return 1
    if [ "$2" = / ] && [ "$3" != tmpfs ]; then disk_root=1; fi
}

# As in Warewulf's ramdisk, the kernel cannot load a driver on demand: there is no modprobe at the path that it calls.
# In a chassis the host's kernel has the drivers, so this function checks first whether the node has loaded one.
mount_device() {   # DEVICE FOLDER TYPE OPTIONS
    case $3 in ext2 | ext3) driver=ext4 ;; *) driver=$3 ;; esac
    if [ -n "$in_chassis" ] && [ "$3" != tmpfs ] && ! driver_loaded "$driver"; then
        echo "mount: mounting $1 on $2 failed: No such device"
        return 1
    fi
    mount -t "$3" -o "$4" "$1" "$2"
}

unmount_extra() {   # the node's system will mount these file systems again, from its fstab
    sed -n "s|^[^ ]* \($NEWROOT/[^ ]*\) .*|\1|p" /proc/mounts | sort -r | while read -r folder; do umount "$folder"; done
}

# Makes the disk of a chassis appear, when its driver is loaded.
plug_disk() {
    [ ! -p /chassis/plug ] || echo >/chassis/plug
}
