# Fetches a node's Warewulf files from the SMS. wwgetfiles sources it on a running node, and the boot agent does, so it
# uses only POSIX shell and busybox's commands.
#
# The caller defines  ww_get PATH   prints the body of http://SMS/WW/PATH, fails unless the status is 200
#         and sets    WWINIT_HWADDR hardware address that the node is registered with
#                     WWROOT        the node's root folder (empty on a running node)
# It may define       ww_say TEXT   logs a line

# Not in /tmp: any user may write there, and a tmpfs would hide the file that the boot agent wrote.
WW_STATE=warewulf/.wwgetfiles_timestamp

# ww_since: prints the newest timestamp that was delivered to this node, or 0.
ww_since() {
    ww_known=$(cat "$WWROOT/$WW_STATE" 2>/dev/null)
    case $ww_known in ''|*[!0-9]*) echo 0 ;; *) echo "$ww_known" ;; esac
}

# ww_sync_files TIMESTAMP: installs all files newer than TIMESTAMP and records the newest timestamp for the next run.
# Sets ww_count to the number of installed files. Fails if any file failed.
ww_sync_files() {
    ww_fetch_newer "$1"
    ww_status=$?
    if [ "$ww_newest" != "$1" ]; then
        mkdir -p "$WWROOT/warewulf" && printf '%s\n' "$ww_newest" >"$WWROOT/$WW_STATE.new" &&
            mv -f "$WWROOT/$WW_STATE.new" "$WWROOT/$WW_STATE" || return 1
    fi
    return $ww_status
}

ww_fetch_newer() {
    ww_newest=$1
    ww_count=0
    ww_failed=0
    ww_list=$(ww_get "file?hwaddr=$WWINIT_HWADDR&timestamp=$1") || return 1
    [ -n "$ww_list" ] || return 0
    # A here-document and not a pipe: the loop must run in this shell to set the counters.
    while IFS=' ' read -r ww_id ww_name ww_uid ww_gid ww_mode ww_timestamp ww_path; do
        if ww_install_file; then
            ww_count=$((ww_count + 1))
            [ "$ww_timestamp" -gt "$ww_newest" ] && [ $ww_failed = 0 ] && ww_newest=$ww_timestamp
        else
            # The files that follow are newer. ww_newest must not pass this one, so that the next run asks for it again.
            ww_failed=1
            ww_tell "ERROR: could not install $ww_name as $ww_path"
        fi
    done <<LIST
$ww_list
LIST
    return $ww_failed
}

ww_tell() {
    if command -v ww_say >/dev/null 2>&1; then ww_say "$*"; else printf '%s\n' "$*" >&2; fi
}

# Installs the file whose line of the list is in ww_id, ww_name, ww_uid, ww_gid, ww_mode, ww_timestamp and ww_path.
# Checks numbers and paths first, since the list came over the network.
ww_install_file() {
    case $ww_mode in [dlbcps][0-7]*) ww_type=${ww_mode%"${ww_mode#?}"} ww_mode=${ww_mode#?} ;; *) ww_type=f ;; esac
    case "$ww_id$ww_uid$ww_gid$ww_timestamp$ww_mode" in ''|*[!0-9]*) return 1 ;; esac
    case "$ww_path/" in */../*|*/./*|//*|[!/]*|/) return 1 ;; esac
    ww_target=$WWROOT$ww_path
    ww_new=$ww_target.ww$ww_timestamp
    mkdir -p "${ww_target%/*}/" || return 1
    if [ "$ww_type" = d ]; then
        mkdir -p "$ww_target" && chown "$ww_uid:$ww_gid" "$ww_target" && chmod "$ww_mode" "$ww_target"
        return
    fi
    rm -rf "$ww_new"
    if "ww_make_$ww_type" && ww_place; then
        ww_tell "$ww_path"
        return 0
    fi
    rm -rf "$ww_new"
    return 1
}

# Moves the new file to its path atomically; fails if a folder has that path.
ww_place() {
    if [ -d "$ww_target" ]; then
        # mv would follow a link to a folder and move the file into it.
        if [ -h "$ww_target" ]; then rm -f "$ww_target"; else return 1; fi
    fi
    mv -f "$ww_new" "$ww_target"
}

ww_content() {
    ww_get "file?hwaddr=$WWINIT_HWADDR&fileid=$ww_id"
}

# Sets the mode before it writes the content, so that a secret is never readable.
ww_make_f() {
    (umask 077 && : >"$ww_new") || return 1
    ww_content >"$ww_new" && chown "$ww_uid:$ww_gid" "$ww_new" && chmod "$ww_mode" "$ww_new"
}

ww_make_l() {
    ww_link=$(ww_content) && [ -n "$ww_link" ] || return 1
    ln -s -- "$ww_link" "$ww_new" && chown -h "$ww_uid:$ww_gid" "$ww_new"
}

ww_make_device() {
    ww_numbers=$(ww_content) || return 1
    case $ww_numbers in ''|*[!0-9\ ]*) return 1 ;; esac
    # shellcheck disable=SC2086  # major and minor
    mknod "$ww_new" "$1" $ww_numbers && chown "$ww_uid:$ww_gid" "$ww_new" && chmod "$ww_mode" "$ww_new"
}

ww_make_b() { ww_make_device b; }

ww_make_c() { ww_make_device c; }

ww_make_p() {
    mknod "$ww_new" p && chown "$ww_uid:$ww_gid" "$ww_new" && chmod "$ww_mode" "$ww_new"
}

ww_make_s() {
    ww_tell "WARNING: sockets cannot be delivered: $ww_path"
    return 1
}
