# Keys: yours from /config, else those of the first start, kept in the volume. None is in the image.
# shellcheck shell=sh

install_keys() {
    install -d -m 755 "$STATE"
    install -d -m 700 "$STATE/keys"
    install -d -m 755 -o munge -g munge /run/munge
    install -d -m 700 -o munge -g munge /etc/munge /var/lib/munge /var/log/munge
    chmod 755 /run/munge
    find "$CONF" -mindepth 1 -delete
    install_key munge.key 1024 munge /etc/munge/munge.key
    install_key jwt.key 32 slurm "$JWT_KEY"
    install_key slurm.key 1024 slurm "$CONF/slurm.key"
}

# install_key NAME BYTES OWNER TARGET
install_key() {
    source=$CONFIG/$1
    if [ -e "$source" ]; then
        say "$1: yours, from $CONFIG"
    else
        source=$STATE/keys/$1
        if [ ! -e "$source" ]; then
            (umask 077 && head -c "$2" /dev/urandom >"$source.part" && mv "$source.part" "$source")
            say "$1: made now, kept in the volume"
        fi
    fi
    install -m 400 -o "$3" -g "$3" "$source" "$4"
}
