# How each daemon is started: start_NAME does what it needs first and waits until it answers; run_NAME is the rest, which
# is done again when it has ended.
# shellcheck shell=sh

start_munged() {
    run_munged
    wait_for munged munged_answers
}

run_munged() {
    rm -f /run/munge/munge.socket.2*
    launch munged as munge munged --foreground --key-file=/etc/munge/munge.key
}

start_mariadbd() {
    install -d -m 755 -o mysql -g mysql /run/mysqld
    [ -d "$STATE/mysql" ] || make_database
    chown -R mysql: "$STATE/mysql"
    run_mariadbd
    wait_for mariadbd mariadbd_answers
    account_of_slurmdbd | sql >"$RUN/probe" 2>&1 || {
        cat "$RUN/probe" >&2
        fail 1 "the database does not take slurmdbd's account" "StorageUser, StoragePass and StorageLoc in slurmdbd.conf"
    }
}

run_mariadbd() {
    launch mariadbd as mysql "$(command -v mariadbd || command -v mysqld)" --no-defaults --datadir="$STATE/mysql" \
        --socket="$SOCKET" --pid-file=/run/mysqld/mysqld.pid --skip-networking --skip-log-bin \
        --innodb-use-native-aio=0 --innodb-buffer-pool-size=128M --innodb-lock-wait-timeout=900 \
        --loose-innodb-snapshot-isolation=OFF
}

# make_database: the system tables, whole or not at all
make_database() {
    rm -rf "$STATE/mysql.part"
    install -d -m 700 -o mysql -g mysql "$STATE/mysql.part"
    mariadb-install-db --no-defaults --user=mysql --datadir="$STATE/mysql.part" --skip-test-db \
        --auth-root-authentication-method=socket --auth-root-socket-user=root --skip-name-resolve \
        --innodb-use-native-aio=0 >"$RUN/probe" 2>&1 || {
        cat "$RUN/probe" >&2
        fail 1 "the database could not be made"
    }
    mv "$STATE/mysql.part" "$STATE/mysql"
    say "the database is made ($(seconds_up) s)"
}

# account_of_slurmdbd: SQL that lets slurmdbd in: by its account, or by the password in your slurmdbd.conf
account_of_slurmdbd() {
    user=$(conf_value "$CONF/slurmdbd.conf" StorageUser)
    base=$(conf_value "$CONF/slurmdbd.conf" StorageLoc)
    base=$(printf '%s' "${base:-slurm_acct_db}" | tr -d '\140') # without backticks
    password=$(conf_value "$CONF/slurmdbd.conf" StoragePass)
    user=$(quoted "${user:-slurm}")
    how="VIA unix_socket"
    [ -z "$password" ] || how="BY $(quoted "$password")"
    # slurmdbd would make it, but then connects a second time by the same handle, which libmariadb 3.4.9 gets wrong
    # ("maximum allowed number of columns (=0)", in forky).
    printf 'CREATE DATABASE IF NOT EXISTS `%s`;\n' "$base"
    printf "CREATE USER IF NOT EXISTS %s@'localhost';\n" "$user"
    printf "ALTER USER %s@'localhost' IDENTIFIED %s;\n" "$user" "$how"
    printf 'GRANT ALL ON `%s`.* TO %s@%s;\n' "$base" "$user" "'localhost'"
}

quoted() { printf "'%s'" "$(printf '%s' "$1" | sed "s/[\\\\']/\\\\&/g")"; }

# Before Slurm's daemons: they read its public keys when they start.
start_slurmtoken() {
    install -d -m 711 -o slurm-token -g slurm-token "$TOKEN_KEYS"
    install -d -m 755 -o slurm-token -g slurm-token "$TOKENS"
    run_slurmtoken
    wait_for slurmtoken slurmtoken_answers
}

run_slurmtoken() {
    launch slurmtoken as slurm-token slurm-token serve --socket "$TOKENS/socket" --keys "$TOKEN_KEYS" \
        --bar "$(slurm_user)" --lifespan "${SLURM_TOKEN_LIFESPAN:-600}"
}

start_slurmdbd() {
    run_slurmdbd
    wait_for slurmdbd slurmdbd_answers
    cluster=$(conf_value "$CONF/slurm.conf" ClusterName)
    if ! timeout 5 sacctmgr -n -P list cluster format=cluster | grep -qix "$cluster"; then
        timeout 10 sacctmgr -i add cluster "$cluster" >"$RUN/probe" 2>&1 || {
            cat "$RUN/probe" >&2
            fail 1 "slurmdbd does not take the cluster $cluster"
        }
    fi
}

run_slurmdbd() { launch slurmdbd as "$(slurm_user)" slurmdbd -D; }

start_slurmctld() {
    run_slurmctld
    wait_for slurmctld slurmctld_answers
}

# -i: 26.05 refuses to start beside a state without this file, which it saves long after the others; a slurmctld that was
# killed early would never come back.
run_slurmctld() {
    saved=$(conf_value "$CONF/slurm.conf" StateSaveLocation)
    set --
    [ -e "${saved:-/var/spool}/assoc_usage" ] || set -- -i
    launch slurmctld as "$(slurm_user)" slurmctld -D "$@"
}

start_slurmd() {
    run_slurmd
    ! wanted slurmctld || wait_for slurmd slurmd_answers
}

run_slurmd() { launch slurmd env LD_PRELOAD="$NAMESPACES" slurmd -D; }

start_slurmrestd() {
    run_slurmrestd
    ! wanted slurmctld || wait_for slurmrestd slurmrestd_answers
}

# SLURM_JWT=daemon: answers for whoever the request's token names, not for its own account. The namespaces it would make
# for itself (unshare) are not to be had in a container; it is alone in this one's anyway. 20.11 knows no such setting:
# there the preloaded library says yes without doing it.
run_slurmrestd() {
    launch slurmrestd as slurmrestd env LD_PRELOAD="$NAMESPACES" SLURM_JWT=daemon \
        SLURMRESTD_SECURITY=disable_unshare_sysv,disable_unshare_files slurmrestd -a rest_auth/jwt "0.0.0.0:$REST_PORT"
}
