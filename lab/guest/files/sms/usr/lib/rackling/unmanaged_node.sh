# A machine beside the cluster that runs of a copy of the SMS's disk: what its maker does to it before its system starts.

# Nothing that belongs to a cluster is in sight. What root writes where keys and configuration would lie is gone after
# a power cycle.
hide_cluster() {   # ROOT
    for path in etc/munge etc/slurm opt var/lib/rackling; do mount -t tmpfs -o nosuid,nodev,size=8m tmpfs "$1/$path"; done
    rm -f "$1/etc/update-motd.d/10-rackling" "$1"/usr/bin/ww*
    : >"$1/etc/ssh/ssh_config.d/rackling.conf"   # the cluster's host keys are not known here
}

# A user's machine: the SMS's packages, home directories, and no key. ROOT/run is there already.
furnish_client() {   # ROOT NAME SERVER
    mkdir -m 1777 "$1/run/slurm"
    echo "nameserver $3" >"$1/etc/resolv.conf"
    printf '\n  %s\n  %s\n\n' "$2: a user's machine beside the cluster." \
        "It has your home directory and Slurm's commands, and no key." >"$1/etc/motd"
}
