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
