# A node must survive a whole day before it gets into the rack: so it was agreed.
grep -qx 'HOURS=24' "$1/etc/burnin.conf"
