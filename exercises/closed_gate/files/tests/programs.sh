# What /init calls is there.
"$1/bin/busybox" --list | grep -qx sha256sum
