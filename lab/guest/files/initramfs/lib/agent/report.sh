# What the boot agent tells whoever reads the console, and the chassis that asks for the stage.

say() { printf '%s\r\n' "$*" >/dev/console; }

# The chassis of a container lab shares a folder. A virtual machine has its console only: there the stage is a
# control sequence, which terminals pass over and the harness finds in what the console wrote.
stage() {
    if [ -d /chassis ]; then
        printf '%s %s %s\n' "$1" "$(date +%s)" "${2:-}" >/chassis/stage.new &&
            mv /chassis/stage.new /chassis/stage
    else
        printf '\033]7337;%s %s %s\007' "$1" "$(date +%s)" "${2:-}" >/dev/console
    fi
}

# operator_shell WANTED NAME: a shell in the ramdisk, for whoever asked with --preshell=1 or --postshell=1. In a
# chassis the console only shows, so `lab shell` opens it (chassis/enter).
operator_shell() {
    [ "$1" != 0 ] || return 0
    stage "$2"
    if [ -n "$in_chassis" ]; then
        say "Starting the $2: lab shell $WWNODENAME opens it, exit goes on with the boot"
        until [ -e /chassis/go-on ]; do sleep 0.2; done
        rm -f /chassis/go-on
    else
        say "Starting the $2: lab console $WWNODENAME --attach opens it, exit goes on with the boot"
        setsid cttyhack sh -i </dev/console >/dev/console 2>&1
    fi
}

# step NAME COMMAND...: runs one capability; its trace is kept for /var/log/warewulf/provision.
# Return codes as in Warewulf: 0 OK, 1 SKIPPED, 2 ERROR but continue, other ERROR.
step() {
    name=$1; shift
    stage "${name#*-}"
    "$@" >>"/run/provision.$name.log" 2>&1
    code=$?
    case $code in 0) word=OK ;; 1) word=SKIPPED ;; *) word=ERROR ;; esac
    say "$(printf ' * %-66s %s' "$name" "$word")"
    [ $code -le 2 ]
}
