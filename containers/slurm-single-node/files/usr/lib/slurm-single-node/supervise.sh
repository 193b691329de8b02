# Starting, waiting for, restarting and stopping daemons. A daemon that ends before the container is ready ends the
# container; one that ends later is restarted, and the others go on.
# shellcheck shell=sh

STARTED=
BEGAN=$(cut -d' ' -f1 /proc/uptime)
PATIENCE=60 # seconds a daemon may take until it answers
STEADY=60   # seconds a daemon must run until a restart waits for 1 s only

seconds_up() { awk -v began="$BEGAN" '{printf "%.1f", $1 - began}' /proc/uptime; }

# launch NAME COMMAND…: runs a daemon in the background, its lines under its name in the container's log
launch() {
    name=$1
    shift
    rm -f "$RUN/$name.log"
    mkfifo "$RUN/$name.log"
    sed -u "s/^\(${name}[^ :]*: \)*/$name: /" <"$RUN/$name.log" &
    "$@" >"$RUN/$name.log" 2>&1 </dev/null &
    echo $! >"$RUN/$name.pid"
    date +%s >"$RUN/$name.since"
    case " $STARTED " in *" $name "*) ;; *) STARTED="$name $STARTED" ;; esac
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
    await_end "$1"
    nap 0.2 # its last lines
    fail 1 "$1 ended with status $status before it answered" "its own lines are above, begun with $1:"
}

# await_end NAME: sets `status`, the exit status of a daemon that has ended
await_end() {
    status=0
    wait "$(cat "$RUN/$1.pid")" || status=$?
}

# watch_all: restarts daemons that ended; never returns
watch_all() {
    while :; do
        for name in $STARTED; do
            if [ -e "$RUN/$name.due" ]; then
                [ "$(date +%s)" -lt "$(cat "$RUN/$name.due")" ] || restart "$name"
            else
                alive "$name" || ended "$name"
            fi
        done
        nap 1
    done
}

# ended NAME: says so, and when it is restarted: after 1 s, then twice as long each time, at most 32 s
ended() {
    await_end "$1"
    rm -f "$RUN/$1.pid"
    now=$(date +%s)
    pause=1
    if [ $((now - $(cat "$RUN/$1.since"))) -lt "$STEADY" ] && [ -e "$RUN/$1.pause" ]; then
        pause=$(($(cat "$RUN/$1.pause") * 2))
        [ "$pause" -le 32 ] || pause=32
    fi
    echo "$pause" >"$RUN/$1.pause"
    echo "$((now + pause))" >"$RUN/$1.due"
    echo "status $status at $(date -u +%H:%M:%S) UTC" >>"$RUN/$1.ends"
    printf 'error: %s ended with status %s; it is restarted in %s s, the other services go on\n' "$1" "$status" "$pause" >&2
    printf 'hint: its own lines are above, begun with %s:\n' "$1" >&2
}

restart() {
    rm -f "$RUN/$1.due"
    "run_$1"
    say "$1 is restarted (restart $(grep -c . "$RUN/$1.ends"))"
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
    stop_some 30 slurmtoken slurmrestd slurmd slurmctld
    stop_some 7 slurmdbd
    stop_some 8 mariadbd munged
    [ -z "$STARTED" ] || say "stopped"
}
