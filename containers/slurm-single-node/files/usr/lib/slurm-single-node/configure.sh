# Slurm's configuration: yours from /config, else one that fits this machine.
# shellcheck shell=sh

# need_network: Slurm's daemons do not open a port where loopback is the only network
need_network() {
    ! wanted slurmdbd && ! wanted slurmctld && ! wanted slurmd && return 0
    for card in /sys/class/net/*; do
        [ "${card##*/}" != lo ] || continue
        # Slurm asks for the name of 0.0.0.0 when it opens a port; a network without DNS would take 10 s to say no.
        grep -q '^0\.0\.0\.0' /etc/hosts || echo '0.0.0.0 every-address' >>/etc/hosts
        return 0
    done
    fail 2 "this container has no network, and Slurm opens no port without one" \
        "docker network create --internal NET; then: docker run --network NET …"
}

# install_configuration: fills /etc/slurm anew at each start
install_configuration() {
    copy_yours
    host=$(hostname -s)
    auth=munge
    if [ ! -e "$CONF/slurm.conf" ]; then
        choose_auth
        write_slurm_conf >"$CONF/slurm.conf"
        [ -e "$CONF/job_submit.lua" ] || cp "$LIB/job_submit.lua" "$CONF/"
        say "slurm.conf: generated for machine $host with auth/$auth"
    fi
    auth=$(conf_value "$CONF/slurm.conf" AuthType)
    auth=${auth#auth/}
    auth=${auth:-munge}
    if [ ! -e "$CONF/slurmdbd.conf" ]; then
        write_slurmdbd_conf >"$CONF/slurmdbd.conf"
        say "slurmdbd.conf: generated"
    fi
    if [ ! -e "$CONF/cgroup.conf" ] && release_at_least 23.02; then
        echo 'CgroupPlugin=disabled' >"$CONF/cgroup.conf"
    fi
    chown slurm: "$CONF/slurmdbd.conf"
    chmod 600 "$CONF/slurmdbd.conf"
    place_jwt_key slurm.conf
    place_jwt_key slurmdbd.conf
    make_folders
}

# install_homes: a volume at /home may be new, and its folders root's
install_homes() {
    for name in user1 user2; do
        [ "$(stat -c %U "/home/$name" 2>/dev/null)" = "$name" ] ||
            install -d -m 700 -o "$name" -g "$name" "/home/$name" ||
            say "/home/$name could not be made: jobs of $name have no home folder"
    done
}

copy_yours() {
    [ -d "$CONFIG" ] || return 0
    (cd "$CONFIG" && tar -cf - .) | tar -xf - -C "$CONF" --no-same-owner --no-overwrite-dir \
        --exclude=./munge.key --exclude=./jwt.key --exclude=./slurm.key --exclude=./lost+found
    for file in slurm.conf slurmdbd.conf; do
        [ ! -e "$CONF/$file" ] || say "$file: yours, from $CONFIG"
    done
    chmod 755 "$CONF"
}

choose_auth() {
    auth=${SLURM_AUTH:-munge}
    case $auth in
        munge) ;;
        slurm) has_plugin auth_slurm || fail 2 "Slurm $(slurm_version) has no auth/slurm: it came with 23.11" "leave SLURM_AUTH out" ;;
        *) fail 2 "SLURM_AUTH is $auth" "munge or slurm" ;;
    esac
}

# Users' own files may name another place for the JWT key; that is where the daemons look.
place_jwt_key() {
    wanted_at=$(conf_value "$CONF/$1" AuthAltParameters | sed -n 's/.*jwt_key=\([^,]*\).*/\1/p')
    [ -n "$wanted_at" ] && [ ! -e "$wanted_at" ] || return 0
    mkdir -p "$(dirname "$wanted_at")"
    install -m 400 -o slurm -g slurm "$JWT_KEY" "$wanted_at"
}

make_folders() {
    spool=$(conf_value "$CONF/slurm.conf" SlurmdSpoolDir)
    saved=$(conf_value "$CONF/slurm.conf" StateSaveLocation)
    install -d -m 755 "${spool:-/var/spool/slurmd}"
    install -d -m 700 -o slurm -g slurm "${saved:-/var/spool}"
    install -d -m 755 -o slurm -g slurm /run/slurmctld /run/slurmdbd
    chown slurm: /etc/slurm
}

write_slurm_conf() {
    cat <<EOF
# Made by slurm-single-node for this machine; mount your own as $CONFIG/slurm.conf.
ClusterName=single
SlurmctldHost=$host
SlurmUser=slurm
AuthType=auth/$auth
CredType=cred/$auth
AuthAltTypes=auth/jwt
AuthAltParameters=jwt_key=$JWT_KEY$(public_keys)
SlurmctldParameters=enable_configless
StateSaveLocation=$STATE/slurmctld
SlurmdSpoolDir=$STATE/slurmd
SlurmctldPidFile=/run/slurmctld/slurmctld.pid
SlurmdPidFile=/run/slurmd.pid
ReturnToService=2
MailProg=/bin/true
# No cgroup is asked for: jobs are followed by their parents, and no limit is enforced.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=$host
# A client's token stays out of its jobs, and of slurmctld's memory and files.
TaskProlog=$LIB/task-prolog
JobSubmitPlugins=lua
NodeName=$host CPUs=$(nproc) RealMemory=$(memory) State=UNKNOWN
PartitionName=normal Nodes=$host Default=YES MaxTime=INFINITE State=UP
EOF
}

# public_keys: what lets in the tokens of slurm-token
public_keys() { ! wanted slurmtoken || printf ',jwks=%s/jwks.json' "$TOKEN_KEYS"; }

# memory: MiB that jobs may ask for: the container's limit, or all that the machine has
memory() {
    all=$(awk '/^MemTotal:/ {print int($2 / 1024)}' /proc/meminfo)
    limit=$(cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null | head -n 1)
    case $limit in
        "" | max) echo "$all" ;;
        *) limit=$((limit / 1048576)) && echo "$((limit < all ? limit : all))" ;;
    esac
}

write_slurmdbd_conf() {
    cat <<EOF
# Made by slurm-single-node; the database knows slurmdbd by its account on this machine, so there is no password.
AuthType=auth/$auth
AuthAltTypes=auth/jwt
AuthAltParameters=jwt_key=$JWT_KEY$(public_keys)
SlurmUser=slurm
DbdHost=localhost
PidFile=/run/slurmdbd/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=slurm
StorageLoc=slurm_acct_db
EOF
}

# tell_what_is_missing: what this release has no package for, or your slurm.conf does not use
tell_what_is_missing() {
    ! wanted slurmtoken || grep -q '^[[:space:]]*AuthAltParameters=.*jwks=' "$CONF/slurm.conf" ||
        say "your slurm.conf lacks jwks=$TOKEN_KEYS/jwks.json in AuthAltParameters: tokens of slurm-token are refused"
    has_plugin auth_slurm || say "Slurm $(slurm_version) has no auth/slurm: it came with 23.11"
    if ! command -v slurmrestd >/dev/null; then
        drop slurmrestd "release ${SLURM_RELEASE-} has no package of it"
    elif ! has_plugin auth_jwt; then
        drop slurmrestd "release ${SLURM_RELEASE-} has no package with auth/jwt"
    fi
    if ! has_plugin accounting_storage_mysql; then
        drop slurmdbd "release ${SLURM_RELEASE-} has no package with accounting_storage/mysql"
    fi
    wanted slurmdbd || drop mariadbd "only slurmdbd needs it"
    storage=$(conf_value "$CONF/slurmdbd.conf" StorageHost)
    case ${storage:-localhost} in
        localhost | 127.0.0.1 | "$(hostname -s)") ;;
        *) drop mariadbd "slurmdbd.conf has its database at $storage" ;;
    esac
    [ "$auth" = munge ] || drop munged "AuthType is auth/$auth"
    grep -qi enable_configless "$CONF/slurm.conf" ||
        say "your slurm.conf lacks SlurmctldParameters=enable_configless: nobody can fetch it from here"
    grep -qi '^[[:space:]]*AuthAltTypes.*auth/jwt' "$CONF/slurm.conf" ||
        drop slurmrestd "your slurm.conf lacks AuthAltTypes=auth/jwt"
}

tell_how() {
    wanted slurmctld || return 0
    say "a token for user1:  docker exec $(hostname) scontrol token username=user1 lifespan=3600"
    ! wanted slurmrestd || say "REST interface: port $REST_PORT, /slurm/$(rest_version)/ping"
}
