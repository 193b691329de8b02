# In overlay mode all nodes of the lab share one unpacked copy of an image and one of a bootstrap's modules, in the lab's
# volume. users/MAC names what a node boots from or runs on, from its boot on until its next one; what no node names is
# removed. Locks end with the node that holds them.
CACHE=/cache

shares_vnfs() { [ "$ww_root" = overlay ] && [ -z "$disk_root" ]; }

shared_vnfs() {
    key=$(printf '%s' "$WWVNFS_CHECKSUM" | tr -cd 'A-Za-z0-9')
    [ -n "$key" ] || { why="the VNFS $WWVNFS_NAME has no checksum"; return 9; }
    use_shared "vnfs-$key" "modules-$initrd_key" || { why="could not write to the lab's cache: its disk is full"; return 9; }
    make_shared "vnfs-$key" download_vnfs || return 9
    make_shared "modules-$initrd_key" gather_modules || return 9
    mkdir -p /upper/root /upper/work
    mount -t overlay -o "$(overlay_attributes)lowerdir=$CACHE/modules-$initrd_key:$CACHE/vnfs-$key,upperdir=/upper/root,workdir=/upper/work" \
        "$WWVNFS_NAME" $NEWROOT
}

# Where root is another account of the host (user_namespaces(7)), it may not write the attributes that an overlay marks with.
overlay_attributes() {
    if read -r _ outside _ </proc/self/uid_map && [ "$outside" != 0 ]; then echo userxattr,; fi
}

gather_modules() {   # FOLDER: under usr/lib, because /lib is a link in the image below this layer
    mkdir -p "$1/usr/lib/modules" && cp -a /lib/modules/. "$1/usr/lib/modules/"
}

# use_shared NAME...: says that this node uses these folders, and no longer those of its last boot; then removes what no
# node uses. A node that boots at the same moment has named its folders before, or finds them gone and makes them.
use_shared() {
    mkdir -p $CACHE/users || return 9
    { flock 9 && name_shared "$@" && set_aside; } 9>$CACHE/users/.lock || return 9
    rm -rf $CACHE/old.*   # not under the lock: others boot meanwhile
}

name_shared() {
    echo "$*" >$CACHE/users/.new && mv $CACHE/users/.new "$CACHE/users/node-$(echo "$wwhwaddr" | tr -cd 'A-Fa-f0-9')"
}

set_aside() {
    named=" $(cat $CACHE/users/* | tr '\n' ' ') "
    for path in $CACHE/vnfs-* $CACHE/modules-*; do
        name=${path##*/}
        case $named in *" ${name%.*} "*) continue ;; esac
        [ ! -e "$path" ] || mv "$path" "$CACHE/old.$name.$(date +%s)" || return 9
    done
}

# make_shared NAME COMMAND: makes NAME in the cache once with COMMAND FOLDER; other nodes wait for it.
make_shared() {
    until [ -d "$CACHE/$1" ]; do
        mkdir -p "$CACHE/$1.new" || { why="could not write to the lab's cache"; return 9; }
        { flock 9 && make_once "$@" || return 9; } 9<"$CACHE/$1.new"   # gone if another node has just made it
    done
    return 0   # a loop's status is that of its last turn, and that may be the open of a folder that had just gone
}

make_once() {
    [ ! -d "$CACHE/$1" ] || return 0
    rm -rf "$CACHE/$1.new/root"
    mkdir "$CACHE/$1.new/root" && "$2" "$CACHE/$1.new/root" && mv "$CACHE/$1.new/root" "$CACHE/$1" && rmdir "$CACHE/$1.new"
}
