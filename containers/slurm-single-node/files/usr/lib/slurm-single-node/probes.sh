# Asking each daemon whether it answers; the health check asks the same questions as the start.
# shellcheck shell=sh

ASK="timeout 3"
SOCKET=/run/mysqld/mysqld.sock

munged_answers() { $ASK munge -n -o /dev/null; }
mariadbd_answers() { echo 'SELECT 1' | sql; }
slurmtoken_answers() { $ASK curl --silent --fail --unix-socket "$TOKENS/socket" http://localhost/v1/health; }
slurmdbd_answers() { $ASK sacctmgr -n -P list cluster format=cluster; }
slurmctld_answers() { $ASK scontrol ping | grep -Eq "(at|slurmctld) *$(hostname -s) .*is UP"; }
slurmd_answers() { $ASK sinfo -h -n "$(hostname -s)" -o %T | grep -Eq '^(idle|mixed|allocated|completing)$'; }

# By the daemon's own token; the token goes through a pipe, so that no list of processes shows it.
slurmrestd_answers() {
    token=$($ASK scontrol token lifespan=60 username="$(slurm_user)" | sed 's/^SLURM_JWT=//')
    printf 'header = "X-SLURM-USER-NAME: %s"\nheader = "X-SLURM-USER-TOKEN: %s"\n' "$(slurm_user)" "$token" |
        $ASK curl --silent --fail --noproxy '*' --config - "http://localhost:$REST_PORT/slurm/$(rest_version)/ping" |
        grep -Eq '"(pinged|ping)": *"UP"|"responding": *true'
}

slurm_user() {
    found=$(conf_value "$CONF/slurm.conf" SlurmUser)
    echo "${found:-root}"
}

# sql: runs the statements on its input as the database's root, known by its account on this machine
sql() { $ASK mariadb --no-defaults --socket="$SOCKET" --user=root; }
