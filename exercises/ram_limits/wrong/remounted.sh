#: step look on c1 as root
mount -o remount,size=900M /
cat >/home/user1/ram_limits/notes.txt <<NOTES
memory_total = $(free -m | awk '/^Mem/ { print $2 }')
root_limit = $(df -m --output=size / | awk 'END { print $1 }')
root_used = $(df -m --output=used / | awk 'END { print $1 }')
swap_total = 0
array = 600
file = 500
exit_status = 137
NOTES
