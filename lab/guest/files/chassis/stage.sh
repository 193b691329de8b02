# The boot stage of the node: one line in a folder that the boot agent writes, too. So nothing there is trusted.
STAGE=/run/chassis/node/stage
NEW_STAGE=/run/chassis/scratch/stage   # on the same file system

# A file that is renamed replaces whatever lies there; nothing is written through a link.
stage() {   # WORD [DETAIL]
    printf '%s %s %s\n' "$1" "$(date +%s)" "${2:-}" >$NEW_STAGE
    [ ! -d $STAGE ] || rm -rf $STAGE
    mv -T $NEW_STAGE $STAGE
}

read_stage() {   # sets stage and detail
    stage=""; detail=""
    { [ -f $STAGE ] && [ ! -L $STAGE ]; } || return 0
    line=$(timeout 1 head -c 200 $STAGE 2>/dev/null | head -n 1 | tr -cd '[:print:]')
    stage=${line%% *}
    detail=${line#* }; detail=${detail#* }
}
