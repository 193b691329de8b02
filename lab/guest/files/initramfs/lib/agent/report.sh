# Output of the boot agent: lines on the console, and the boot stage for the harness.

say() { printf '%s\r\n' "$*" >/dev/console; }

# A chassis reads the stage from a shared folder. A virtual machine writes it to the console as a control sequence
# (OSC 7337), which terminals ignore and the harness finds in the console log.
stage() {
    if [ -d /chassis ]; then
        printf '%s %s %s\n' "$1" "$(date +%s)" "${2:-}" >/chassis/stage.new &&
            mv /chassis/stage.new /chassis/stage
    else
        printf '\033]7337;%s %s %s\007' "$1" "$(date +%s)" "${2:-}" >/dev/console
    fi
}

# operator_shell WANTED NAME: a shell in the ramdisk, if the node has --preshell=1 or --postshell=1. A chassis's console
# takes no input, so there `lab shell` opens the shell (chassis/enter).
operator_shell() {
    [ "$1" != 0 ] || return 0
    stage "$2"
    if [ -n "$in_chassis" ]; then
        say "Starting the $2: lab shell $WWNODENAME opens it, exit continues the boot"
        until [ -e /chassis/go-on ]; do sleep 0.2; done
        rm -f /chassis/go-on
    else
        say "Starting the $2: lab console $WWNODENAME --attach opens it, exit continues the boot"
        setsid cttyhack sh -i </dev/console >/dev/console 2>&1
    fi
}

# step NAME COMMAND...: runs one capability; its output goes to /var/log/warewulf/provision later.
# Status as in Warewulf: 0 OK, 1 SKIPPED, 2 ERROR but continue, any other ERROR.
step() {
    name=$1; shift
    stage "${name#*-}"
    "$@" >>"/run/provision.$name.log" 2>&1
    code=$?
    case $code in 0) word=OK ;; 1) word=SKIPPED ;; *) word=ERROR ;; esac
    say "$(printf ' * %-66s %s' "$name" "$word")"
    [ $code -le 2 ]
}

# Prints the reason and reboots to try again: nobody watches the console of a cluster node.
give_up() {
    say "$*"
    stage failed "$*"
    say "Rebooting in ${WWREBOOT_DELAY:-10} seconds...."
    sleep "${WWREBOOT_DELAY:-10}"
    busybox reboot -f
}
