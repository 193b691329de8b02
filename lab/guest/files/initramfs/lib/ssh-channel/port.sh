# Finds virtual serial ports by name.

# Prints the device of a port, or returns 1. Until the other end is connected, the kernel holds back written data, and
# a read returns end of file (drivers/char/virtio_console.c).
port_called() {   # NAME
    for name in /sys/class/virtio-ports/*/name; do
        [ "$(cat "$name" 2>/dev/null)" = "$1" ] || continue
        name=${name%/name}
        echo "/dev/${name##*/}"
        return
    done
    echo "this machine has no serial port $1" >&2
    return 1
}
