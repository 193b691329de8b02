# Where things are, and how this container speaks.
# shellcheck shell=sh disable=SC2034

ALL="munged mariadbd slurmtoken slurmdbd slurmctld slurmd slurmrestd"
STATE=/var/lib/slurm-single-node
RUN=/run/slurm-single-node
CONFIG=/config
CONF=/etc/slurm
JWT_KEY=$CONF/jwt_hs256.key
REST_PORT=6820
TOKENS=/run/slurm-token # slurm-token answers here, if something is mounted here
TOKEN_KEYS=$STATE/slurm-token
NAMESPACES=/usr/lib/slurm-single-node/namespaces.so

say() { printf 'slurm-single-node: %s\n' "$*"; }

fail() { # fail STATUS WHAT [HINT]: says what failed, stops what runs, and ends
    status=$1
    printf 'error: %s\n' "$2" >&2
    [ -z "${3-}" ] || printf 'hint: %s\n' "$3" >&2
    stop_all
    exit "$status"
}

# conf_value FILE KEY: the last value of a key in a Slurm configuration file; case does not count there.
conf_value() {
    sed -n "s/^[[:space:]]*$2[[:space:]]*=[[:space:]]*\"\{0,1\}\([^\"#]*\).*/\1/Ip" "$1" 2>/dev/null | tail -n 1 | sed 's/[[:space:]]*$//'
}

# hands_out_tokens: whether somebody is to reach slurm-token's socket
hands_out_tokens() { grep -q " $TOKENS " /proc/self/mounts; }

has_plugin() { find /usr/lib -path "*slurm*/$1.so" 2>/dev/null | grep -q .; }

slurm_version() { sinfo --version | sed 's/^slurm\(-wlm\)\{0,1\} //'; }

# release_at_least YY.MM
release_at_least() { [ "$(printf '%s\n%s\n' "$1" "$(slurm_version)" | sort -V | head -n 1)" = "$1" ]; }

# rest_version: the newest version of the REST interface that this slurmrestd has, as v0.0.NN
rest_version() {
    find /usr/lib -name 'openapi_*0*0*[0-9].so' -o -name 'data_parser_v0_0_*.so' |
        sed -n 's/.*[._v]0[._]0[._]\([0-9]*\)\.so$/\1/p' | sort -n | tail -n 1 | sed 's/^/v0.0./'
}

# as USER COMMAND…: becomes another account for good
as() {
    user=$1
    shift
    exec setpriv --reuid="$user" --regid="$(id -g "$user")" --init-groups -- "$@"
}
