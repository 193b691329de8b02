#: step squeeze on c1 as root
free=$(free -m | awk '/^Mem/ { print $7 }')
used=$(df -m --output=used / | awk 'END { print $1 }')
F=$(df -m --output=avail /tmp | awk 'END { print int($1 * 0.8) }')
dd if=/dev/zero of=/tmp/foo bs=1M count=$F
cat >/home/user1/ram_limits/notes.txt <<NOTES
memory_total = $(free -m | awk '/^Mem/ { print $2 }')
root_limit = $(df -m --output=size / | awk 'END { print $1 }')
root_used = $used
swap_total = 0
array = $((free * 8 / 10))
file = $F
exit_status = 137
NOTES
