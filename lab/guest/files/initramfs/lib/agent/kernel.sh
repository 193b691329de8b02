# Kernel side of the boot agent: arguments, kernel file systems, drivers.

kernel_views() {
    mkdir -p /proc /sys /dev /run
    [ -e /proc/self ] || mount -t proc proc /proc
    [ -e /sys/kernel ] || mount -t sysfs sysfs /sys
    [ -c /dev/console ] || mount -t devtmpfs devtmpfs /dev
    [ -x /bin/sh ] || busybox --install -s
}

# Only names the agent knows become variables; the value is never run.
read_arguments() {
    in_chassis=""; ww_root=ram; uptime_of=own; initrd_key=""; mem_limit=""; console_arg=""
    wwmaster=""; wwipaddr=""; wwnetmask=""; wwnetdev=eth0; wwhwaddr=""; wwhostname=""; wwgateway=""; wwmtu=""; wwdns=""
    for argument in $(cat /proc/cmdline); do
        value=${argument#*=}
        case "$argument" in
            lab.chassis) in_chassis=1 ;;
            lab.root=*) ww_root=$value ;;
            lab.initrd=*) initrd_key=$value ;;
            lab.uptime=*) uptime_of=$value ;;
            mem=*M) mem_limit=${value%M} ;;
            wwmaster=*) wwmaster=$value ;;
            wwipaddr=*) wwipaddr=$value ;;
            wwnetmask=*) wwnetmask=$value ;;
            wwnetdev=*) wwnetdev=$value ;;
            wwhwaddr=*) wwhwaddr=$value ;;
            wwhostname=*) wwhostname=$value ;;
            wwgateway=*) wwgateway=$value ;;
            wwmtu=*) wwmtu=$value ;;
            wwdns=*) wwdns=$value ;;
        esac
    done
    [ -n "$wwhostname" ] && hostname "$wwhostname"
}

load_drivers() {
    say "Loading drivers:"
    [ -n "$in_chassis" ] && { say " * the chassis's kernel has them built in"; return; }
    while read -r module; do
        [ -n "$module" ] && modprobe "$module" 2>/dev/null && say " * $module"
    done </etc/warewulf/modprobe
    say "Detecting hardware:"
    for alias in $(cat /sys/bus/pci/devices/*/modalias 2>/dev/null | sort -u); do modprobe "$alias" 2>/dev/null; done
}
