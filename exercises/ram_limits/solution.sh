# SEMI-1: what a root file system in memory costs.

#: step look on c1 as root
df -h /tmp
free -m
swapon --show

#: step squeeze on c1 as root
module load py3-numpy
free=$(free -m | awk '/^Mem/ { print $7 }')
N=$(awk -v mib="$free" 'BEGIN { print int(sqrt(mib * 0.8 * 1024 * 1024 / 8)) }')
echo "an array of $N x $N takes $((N * N * 8 / 1024 / 1024)) MiB of $free"
python3 -c "import numpy as np; x = np.full(($N, $N), 1)"
F=$(df -m --output=avail /tmp | awk 'END { print int($1 * 0.8) }')
dd if=/dev/zero of=/tmp/foo bs=1M count=$F
free -m
#: expect-fail
python3 -c "import numpy as np; x = np.full(($N, $N), 1)"
echo $?

#: step tidy on c1 as root
rm /tmp/foo
python3 -c "import numpy as np; x = np.full(($N, $N), 1)"
cat >/home/user1/ram_limits/notes.txt <<NOTES
memory_total = $(free -m | awk '/^Mem/ { print $2 }')
root_limit = $(df -m --output=size / | awk 'END { print $1 }')
root_used = $(df -m --output=used / | awk 'END { print $1 }')
swap_total = $(free -m | awk '/^Swap/ { print $2 }')
array = $((N * N * 8 / 1024 / 1024))
file = $F
exit_status = 137
NOTES
