# Root in the node as nobody on the host. With LAB_IDS, the first of 65536 ids that the lab has, the node's system boots
# in a user namespace, and all its other namespaces belong to that one (user_namespaces(7)). What it needs of the
# chassis's is given to these ids; all else in the chassis belongs to others.
IDS=${LAB_IDS:-}
SPACES=/run/spaces   # holds the user namespace, and the network namespace that belongs to it
BOUNDS=chown,dac_override,fowner,fsetid,kill,setgid,setuid,setpcap,net_bind_service,net_raw,sys_chroot,mknod,audit_write
BOUNDS=$BOUNDS,setfcap,sys_admin,net_admin,sys_boot,sys_nice   # what a node has of its chassis (container_spec.py, confine)
inside=""            # a command that goes on as root in the node's user namespace
[ -z "$IDS" ] || inside="nsenter --user=$SPACES/user"

give() { [ -z "$IDS" ] || chown --no-dereference "$IDS:$IDS" "$@"; }   # PATH...

# Makes the two namespaces, once in the life of a container, and goes on in the network namespace: the switch plugs the
# cables into that of the first process. The engine's settings of its own one are the node's.
enter_own_spaces() {   # COMMAND...
    mkdir -p $SPACES
    unshare --user --net --map-users="0:$IDS:65536" --map-groups="0:$IDS:65536" --setuid 0 --setgid 0 sleep 60 &
    until [ "$(stat -c %u "/proc/$!")" = "$IDS" ]; do
        kill -0 $! 2>/dev/null || {
            say "this host makes no user namespaces: cat /proc/sys/user/max_user_namespaces"
            sleep 5; exit 1
        }
        sleep 0.01
    done
    for space in user net; do : >$SPACES/$space; mount --bind "/proc/$!/ns/$space" $SPACES/$space; done
    kill $!; wait $! 2>/dev/null
    unmask
    settings="net/ipv4/ping_group_range net/ipv4/ip_unprivileged_port_start"
    for setting in $settings; do cat /proc/sys/$setting; done >$SPACES/settings
    LAB_SPACES=entered exec nsenter --net=$SPACES/net sh -c '
        for setting in $1; do read -r value && echo "$value" >/proc/sys/$setting; done <'$SPACES'/settings
        shift; exec "$@"' sh "$settings" "$@"
}

# What the engine covers in /proc and /sys would keep root in the node from mounting its own (fs/namespace.c,
# mnt_already_visible). There, it is the kernel that refuses by owner; nothing of the node's runs here.
unmask() {
    for path in $(awk '$5 ~ "^/(proc/|sys/firmware|sys/devices/)" { print $5 }' /proc/self/mountinfo); do
        umount "$path"
    done
}

# Folders and terminals of the chassis that belong to the node. Group 5 is tty, as the engine mounts its terminals.
give_node() {   # once
    [ -n "$IDS" ] || return 0
    mkdir -p /run/node
    give /cache /dev/console
    mount -o "remount,gid=$((IDS + 5))" /dev/pts
}

# Before each power-on: new folders, which no program of the node's has seen yet. Of a cgroup, what makes and fills
# groups below it, not its own limits (cgroups(7), "Delegation").
give_boot() {
    [ -n "$IDS" ] || return 0
    rmdir /cgroup/node 2>/dev/null
    mkdir -p /cgroup/node/login
    for group in /cgroup/node /cgroup/node/login; do
        give $group $group/cgroup.procs $group/cgroup.threads $group/cgroup.subtree_control
    done
    give $NODE $NODE/* $SCRATCH $RUN/hwview
    /chassis/shift "$IDS" $DEV
}

# On the node's /dev. Mounts that a user namespace got from outside stay where they are, and keep `mount --bind /dev` from
# working (mount_namespaces(7), "Restrictions on mount namespaces"): there, `boot` makes them.
show_terminals() {
    for path in pts mqueue console; do [ ! -e /dev/$path ] || mount --bind /dev/$path $DEV/$path; done
}

# Pipes and terminals that the engine made for a command; others, such as /dev/null, are not the node's.
give_streams() {
    [ -n "$IDS" ] || return 0
    for number in 0 1 2; do
        if [ -p /proc/self/fd/$number ] || [ -t $number ]; then chown "$IDS" /proc/self/fd/$number; fi
    done
}
