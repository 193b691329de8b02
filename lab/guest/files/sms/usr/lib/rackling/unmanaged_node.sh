# Turns a copy of the SMS's disk into an unmanaged node, before its system starts.

# Hides the cluster's keys and configuration under empty file systems in memory.
hide_cluster() {   # ROOT
    for path in etc/munge etc/slurm opt var/lib/rackling; do mount -t tmpfs -o nosuid,nodev,size=8m tmpfs "$1/$path"; done
    rm -f "$1/etc/update-motd.d/10-rackling" "$1"/usr/bin/ww* "$1/usr/bin/nodeimage" "$1/usr/bin/rollout" \
        "$1/usr/bin/cluster-env" "$1/usr/bin/ipmitool"
    : >"$1/etc/resolv.conf"                      # the set-up of the SMS writes this file
    : >"$1/etc/ssh/ssh_config.d/rackling.conf"   # it demands known host keys, and this node knows none
}

# A user's machine with the SMS's packages and the home directories, but without keys. ROOT/run must be mounted.
set_up_client() {   # ROOT NAME SERVER
    mkdir -m 1777 "$1/run/slurm"
    echo "nameserver $3" >"$1/etc/resolv.conf"
    printf '\n  %s\n  %s\n\n' "$2: a user's machine that is not part of the cluster." \
        "It has your home directory and Slurm's commands, but no key of the cluster." >"$1/etc/motd"
}
