# The kernel can start /init, and a shell can read it.
test -x "$1/init" && sh -n "$1/init"
