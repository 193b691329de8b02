# Makes the new root of the node and unpacks the VNFS into it.

# Limited to half of the node's memory, as the kernel limits a tmpfs; a chassis passes its memory as mem=.
make_memory_root() {
    options=mode=755
    [ -z "$mem_limit" ] || options="$options,size=$((mem_limit / 2))m"
    if [ "$ww_root" = overlay ]; then
        mkdir -p /upper && mount -t tmpfs -o "$options" upper /upper
        return
    fi
    mount -t tmpfs -o "$options" tmpfs $NEWROOT
}

get_vnfs() {
    if [ -z "${WWVNFS_NAME:-}" ]; then why="no VNFS assigned to $WWNODENAME: wwsh provision set $WWNODENAME --vnfs=..."; say " * $why"; return 9; fi
    say " * fetching $WWVNFS_NAME"
    if shares_vnfs; then shared_vnfs; else download_vnfs $NEWROOT; fi
}

vnfs_path() {
    location=$(ww_get "vnfs?hwaddr=$wwhwaddr")
    [ $? = 3 ] && [ -n "$location" ] || { why="the SMS offers no image for the VNFS $WWVNFS_NAME"; return 9; }
    image=${location#"http://$wwmaster"}
    image=${image#/WW/}
}

# Downloads and unpacks in one pipe; zstd reads gzip, too, and fails for any other format.
download_vnfs() {   # FOLDER
    vnfs_path || return 9
    rm -f /run/vnfs.unfetched
    { ww_patience=60 ww_get "$image" || echo "$image" >/run/vnfs.unfetched; } | on_one_cpu zstd -dcq | (cd "$1" && on_one_cpu cpio -idmu)
    unpacked=$?
    if [ -e /run/vnfs.unfetched ]; then why="could not fetch $image"; return 9; fi
    [ $unpacked = 0 ] || { why="could not unpack $image: the image is damaged"; return 9; }
    [ -e "$1/sbin/init" ] || [ -L "$1/sbin/init" ] || { why="the VNFS $WWVNFS_NAME has no /sbin/init"; return 9; }
}

# In a virtual machine, runs both ends of a busy pipe on one processor: waking another processor is slow where
# processors are emulated, and took half of the unpacking time.
on_one_cpu() { if [ -n "$in_chassis" ]; then "$@"; else taskset 1 "$@"; fi; }

shares_vnfs() { [ "$ww_root" = overlay ] && [ -z "$disk_root" ]; }

# In overlay mode all nodes of the lab share one unpacked copy of the image and one of the bootstrap's modules.
shared_vnfs() {
    key=$(printf '%s' "$WWVNFS_CHECKSUM" | tr -cd 'A-Za-z0-9')
    [ -n "$key" ] || { why="the VNFS $WWVNFS_NAME has no checksum"; return 9; }
    make_shared "vnfs-$key" download_vnfs || return 9
    make_shared "modules-$initrd_key" gather_modules || return 9
    mkdir -p /upper/root /upper/work
    mount -t overlay -o "lowerdir=/cache/modules-$initrd_key:/cache/vnfs-$key,upperdir=/upper/root,workdir=/upper/work" \
        "$WWVNFS_NAME" $NEWROOT
}

gather_modules() {   # FOLDER: under usr/lib, because /lib is a link in the image below this layer
    mkdir -p "$1/usr/lib/modules" && cp -a /lib/modules/. "$1/usr/lib/modules/"
}

# make_shared NAME COMMAND: makes /cache/NAME once with COMMAND FOLDER, under another name that is then renamed; other
# nodes wait for it.
make_shared() {
    waited=0
    until [ -d "/cache/$1" ]; do
        if mkdir "/cache/$1.lock" 2>/dev/null; then
            rm -rf "/cache/$1.new"; mkdir "/cache/$1.new"
            if "$2" "/cache/$1.new"; then mv "/cache/$1.new" "/cache/$1"; rmdir "/cache/$1.lock"
            else rm -rf "/cache/$1.new"; rmdir "/cache/$1.lock"; return 9; fi
        else
            sleep 0.1; waited=$((waited + 1))
            [ $waited -lt 300 ] || { rmdir "/cache/$1.lock"; waited=0; }   # assume that the lock's owner died
        fi
    done
}
