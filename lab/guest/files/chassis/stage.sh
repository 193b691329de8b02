# The boot stage of the node: one line in a folder that the boot agent writes, too. So nothing there is trusted.
STAGE=/run/chassis/node/stage

# A file that is renamed replaces whatever lies there; nothing is written through a link.
stage() {   # WORD [DETAIL]
    printf '%s %s %s\n' "$1" "$(date +%s)" "${2:-}" >/run/chassis/stage.new
    [ ! -d $STAGE ] || rm -rf $STAGE
    mv -T /run/chassis/stage.new $STAGE
}

read_stage() {   # sets stage and detail
    stage=""; detail=""
    { [ -f $STAGE ] && [ ! -L $STAGE ]; } || return 0
    line=$(timeout 1 head -c 200 $STAGE 2>/dev/null | head -n 1 | tr -cd '[:print:]')
    stage=${line%% *}
    detail=${line#* }; detail=${detail#* }
}
