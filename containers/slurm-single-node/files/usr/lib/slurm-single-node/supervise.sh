# Starting, waiting for and stopping daemons. Nothing is ever restarted: a daemon that ends, ends the container.
# shellcheck shell=sh

STARTED=
BEGAN=$(cut -d' ' -f1 /proc/uptime)
PATIENCE=60 # seconds a daemon may take until it answers

seconds_up() { awk -v began="$BEGAN" '{printf "%.1f", $1 - began}' /proc/uptime; }

# launch NAME COMMAND…: runs a daemon in the background, its lines under its name in the container's log
launch() {
    name=$1
    shift
    mkfifo "$RUN/$name.log"
    sed -u "s/^\(${name}[^ :]*: \)*/$name: /" <"$RUN/$name.log" &
    "$@" >"$RUN/$name.log" 2>&1 </dev/null &
    echo $! >"$RUN/$name.pid"
    STARTED="$name $STARTED"
}

# answers COMMAND…: whether a probe succeeds. `wait` is what lets a signal in meanwhile.
answers() {
    "$@" >"$RUN/probe" 2>&1 &
    wait $!
}

# wait_for NAME COMMAND…: until the daemon answers the probe; ends the container if it ends or never answers
wait_for() {
    name=$1
    shift
    limit=$(($(date +%s) + PATIENCE))
    until answers "$@"; do
        alive "$name" || lost "$name"
        [ "$(date +%s)" -lt "$limit" ] || {
            cat "$RUN/probe" >&2
            fail 1 "$name did not answer within $PATIENCE s" "its own lines are above, begun with $name:"
        }
        nap 0.1
    done
    say "$name answers ($(seconds_up) s)"
}

nap() {
    sleep "$1" &
    wait $!
}

alive() { [ -e "$RUN/$1.pid" ] && kill -0 "$(cat "$RUN/$1.pid")" 2>/dev/null; }

lost() {
    status=0
    wait "$(cat "$RUN/$1.pid")" || status=$?
    nap 0.2 # its last lines
    fail 1 "$1 ended with status $status; nothing is restarted, the container stops" "its own lines are above, begun with $1:"
}

watch_all() {
    while :; do
        for name in $STARTED; do
            alive "$name" || lost "$name"
        done
        nap 1
    done
}

# stop_some LIMIT NAME…: asks daemons to end and waits at most LIMIT tenths of a second
stop_some() {
    limit=$1
    shift
    for name in "$@"; do
        alive "$name" && kill -TERM "$(cat "$RUN/$name.pid")" 2>/dev/null
    done
    while [ "$limit" -gt 0 ]; do
        left=
        for name in "$@"; do alive "$name" && left="$left $name"; done
        [ -n "$left" ] || return 0
        sleep 0.1
        limit=$((limit - 1))
    done
    say "still running, killed:$left"
    for name in $left; do kill -KILL "$(cat "$RUN/$name.pid")" 2>/dev/null; done
}

# stop_all: the order of starting backwards, within 4.5 s
stop_all() {
    trap '' TERM INT
    set +e
    rm -f "$RUN/services"
    [ -z "$STARTED" ] || say "stopping"
    stop_some 30 slurmrestd slurmd slurmctld
    stop_some 7 slurmdbd
    stop_some 8 mariadbd munged
    [ -z "$STARTED" ] || say "stopped"
}
