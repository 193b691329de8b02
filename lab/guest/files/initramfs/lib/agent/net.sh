# Network part of the boot agent: sets the address from the kernel's arguments; fetches from the SMS by HTTP.

find_card() {   # finds the card with the registered MAC, whatever its name is
    for path in /sys/class/net/*; do
        if [ "$(cat "$path/address")" = "$wwhwaddr" ]; then card=${path##*/}; return 0; fi
    done
    why="no network card has the MAC $wwhwaddr"
    return 1
}

bring_up_network() {
    tries=0
    until find_card; do
        tries=$((tries + 1)); [ $tries -lt 120 ] || return 1
        sleep 0.5
    done
    ip link set lo up
    # The IPv6 router that the SMS announces is only meant for iPXE.
    [ -n "$in_chassis" ] || echo 0 >"/proc/sys/net/ipv6/conf/$card/accept_ra" 2>/dev/null
    ip link set "$card" up ${wwmtu:+mtu "$wwmtu"}
    ip addr show dev "$card" | grep -q "inet $wwipaddr/" || ip addr add "$wwipaddr/$wwnetmask" dev "$card"
    [ -z "$wwgateway" ] || ip route add default via "$wwgateway"
}

# ww_get PATH: prints the body of http://SMS/WW/PATH; fails on any status but 200. The source port is below 1024,
# since the SMS answers only root on a node. A port that was used a minute ago, perhaps by the previous boot, may be in
# TIME-WAIT: then ww_get tries another one.
ww_get() {
    ww_tries=0
    until ww_ask "$1"; do
        ww_code=$?
        ww_tries=$((ww_tries + 1))
        [ $ww_code = $UNANSWERED ] && [ $ww_tries -lt 6 ] || return $ww_code
    done
}

UNANSWERED=4   # status of ww_ask if no line came back

# nc keeps its side open until the SMS has closed (no -N): nginx gives up a file for a client that has closed its own.
ww_ask() {
    port=$((200 + ($(od -An -N2 -tu2 /dev/urandom) % 800)))
    printf 'GET /WW/%s HTTP/1.0\r\nHost: %s\r\nConnection: close\r\n\r\n' "$1" "$wwmaster" |
        ${ww_nc:-nc.openbsd} -w "${ww_patience:-10}" -p $port "$wwmaster" 80 | http_body
}

http_body() {
    IFS=' ' read -r _ ww_status _ || return $UNANSWERED
    location=""; length=""
    while IFS= read -r line; do
        line=$(printf '%s' "$line" | tr -d '\r')
        [ -n "$line" ] || break
        case "$line" in
            [Ll]ocation:*) location=${line#*: } ;;
            [Cc]ontent-[Ll]ength:*) length=${line#*: } ;;
        esac
    done
    case "$ww_status" in
        200) whole_body "$length" ;;
        302) printf '%s' "$location"; return 3 ;;
        *) echo "the SMS answered $ww_status" >&2; return 1 ;;
    esac
}

# An answer that was cut off must not pass for a whole one: nc does not tell.
whole_body() {   # BYTES
    case "$1" in '' | *[!0-9]*) echo "the SMS did not announce a length" >&2; return 1 ;; esac
    whole_blocks 65536 $(($1 / 65536)) && whole_blocks $(($1 % 65536)) 1 ||
        { echo "the SMS's answer was cut off" >&2; return 1; }
}

whole_blocks() {   # BYTES COUNT: copies so many blocks; fails if the last one is not full
    [ $(($1 * $2)) -gt 0 ] || return 0
    { dd "bs=$1" "count=$2" iflag=fullblock 2>&1 >&3 | grep -q "^$2+0 records in"; } 3>&1
}

get_node_config() {
    if ! ww_get "nodeconfig?hwaddr=$wwhwaddr" >/run/nodeconfig 2>/run/nodeconfig.err; then
        why="$(tail -n 1 /run/nodeconfig.err) to nodeconfig for $wwhwaddr"
    elif ! grep -q '^WWNODENAME=' /run/nodeconfig; then
        why="no node object for $wwhwaddr: registered? (wwsh node list)"
    else
        . /run/nodeconfig
        return 0
    fi
    [ "$why" = "${said:-}" ] || say " * $why. Trying again."
    said=$why
    stage nodeconfig "$why"
    return 1
}
