# The new root of the node and the VNFS in it.

# Half the node's memory, as the kernel's default for a tmpfs; a chassis tells its memory by mem=.
make_memory_root() {
    options=mode=755
    [ -z "$mem_limit" ] || options="$options,size=$((mem_limit / 2))m"
    if [ "$ww_root" = overlay ]; then
        mkdir -p /upper && mount -t tmpfs -o "$options" upper /upper
        return
    fi
    mount -t tmpfs -o "$options" none $NEWROOT
}

get_vnfs() {
    if [ -z "${WWVNFS_NAME:-}" ]; then why="no VNFS assigned to $WWNODENAME: wwsh provision set $WWNODENAME --vnfs=..."; say " * $why"; return 9; fi
    say " * fetching $WWVNFS_NAME"
    if shares_vnfs; then shared_vnfs; else download_vnfs $NEWROOT; fi
}

vnfs_url() {
    location=$(ww_get "vnfs?hwaddr=$wwhwaddr")
    [ $? = 3 ] && [ -n "$location" ] || { why="the SMS offers no image for the VNFS $WWVNFS_NAME"; return 9; }
    case "$location" in
        http://*) url=$location ;;
        *) url="http://$wwmaster$location" ;;
    esac
}

# Fetched and unpacked at once; zstd reads gzip as well, and says when it is neither.
download_vnfs() {   # FOLDER
    vnfs_url || return 9
    rm -f /run/vnfs.unfetched
    { wget -q -T 60 -O - "$url" || echo "$url" >/run/vnfs.unfetched; } | near zstd -dcq | (cd "$1" && near cpio -idmu)
    unpacked=$?
    if [ -e /run/vnfs.unfetched ]; then why="could not fetch $url"; return 9; fi
    [ $unpacked = 0 ] || { why="$url is damaged"; return 9; }
    [ -e "$1/sbin/init" ] || [ -L "$1/sbin/init" ] || { why="the VNFS $WWVNFS_NAME holds no /sbin/init"; return 9; }
}

# Two processes of a virtual machine that pass much on in small pieces share a processor: to wake another one is
# dear where it is emulated (half of an unpacking's time).
near() { if [ -n "$in_chassis" ]; then "$@"; else taskset 1 "$@"; fi; }

shares_vnfs() { [ "$ww_root" = overlay ] && [ -z "$disk_root" ]; }

# In overlay mode all nodes of the lab share one unpacked copy of an image, and one of the bootstrap's modules.
shared_vnfs() {
    key=$(printf '%s' "$WWVNFS_CHECKSUM" | tr -cd 'A-Za-z0-9')
    [ -n "$key" ] || { why="the VNFS $WWVNFS_NAME has no checksum"; return 9; }
    make_shared "vnfs-$key" download_vnfs || return 9
    make_shared "modules-$initrd_key" gather_modules || return 9
    mkdir -p /upper/root /upper/work
    mount -t overlay -o "lowerdir=/cache/modules-$initrd_key:/cache/vnfs-$key,upperdir=/upper/root,workdir=/upper/work" \
        "$WWVNFS_NAME" $NEWROOT
}

gather_modules() {   # FOLDER; /lib is a link to usr/lib in the image that this lies over
    mkdir -p "$1/usr/lib/modules" && cp -a /lib/modules/. "$1/usr/lib/modules/"
}

# make_shared NAME COMMAND: /cache/NAME is made once by COMMAND FOLDER, aside and then renamed; other nodes wait.
make_shared() {
    waited=0
    until [ -d "/cache/$1" ]; do
        if mkdir "/cache/$1.lock" 2>/dev/null; then
            rm -rf "/cache/$1.new"; mkdir "/cache/$1.new"
            if "$2" "/cache/$1.new"; then mv "/cache/$1.new" "/cache/$1"; rmdir "/cache/$1.lock"
            else rm -rf "/cache/$1.new"; rmdir "/cache/$1.lock"; return 9; fi
        else
            sleep 0.1; waited=$((waited + 1))
            [ $waited -lt 300 ] || { rmdir "/cache/$1.lock"; waited=0; }   # its maker died
        fi
    done
}
