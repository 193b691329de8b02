"""SEC-1: what listens on the login node is known, and after a boot it is ssh alone."""

from __future__ import annotations

import re

from lab.checks import Cluster, check, chroot_of, failed

NOTES = "listening.txt"
RPC = ("rpcbind.socket", "rpcbind.service")
QUIET = ("disabled", "masked", "masked-runtime", "not-found")
LOOK = "netstat -utlp"
EPHEMERAL = 32768  # from here on, a UDP socket is most likely one that sends


def in_folder(cluster: Cluster, root: str, unit: str) -> str:
    """Whether a unit is started at boot of a system that lies in a folder: systemd's word for it."""
    held = f"{root}/etc/systemd/system/{unit}.d {root}/etc/systemd/system/{unit}"
    if cluster.sms.run(f"grep -rqsE '^ *(Condition|Assert)[A-Za-z]+ *= *[^ ]' {held}").exit_status == 0:
        return "disabled"  # by a condition of its own; the boot will tell whether it says no
    answer = cluster.sms.run(f"systemctl --root={root} is-enabled {unit}")
    words = answer.output.split()
    known = len(words) == 1 and "/" not in words[0]
    return words[0] if known else "not-found"


@check(step="look")
def inventory_is_written_down(cluster: Cluster) -> None:
    """On the SMS, user1 has a list of what listened on the login node: ssh, and rpcbind."""
    answer = cluster.sms.run(f"cat ~user1/{NOTES}")
    look = f"cat ~user1/{NOTES}"
    if answer.exit_status != 0:
        raise failed(
            expected=f"a file {NOTES} in user1's home",
            actual="no such file",
            hint="`>` behind a command writes what it prints into a file.",
            node="sms",
            look=look,
        )
    wanted = {"ssh": r"sshd?\b|:22\b", "rpcbind": r"rpcbind|sunrpc|:111\b"}
    lacking = [name for name, pattern in wanted.items() if not re.search(pattern, answer.output)]
    if lacking:
        raise failed(
            expected="ssh and rpcbind in the list, by name or by port",
            actual=f"nothing of {', '.join(lacking)} in it",
            hint="Was it the login node that you asked, and before you switched anything off? As root?",
            node="sms",
            look=look,
        )


@check(step="image")
def image_keeps_rpcbind_quiet(cluster: Cluster) -> None:
    """The folder of the nodes' image starts neither rpcbind nor its socket at boot."""
    root = chroot_of(cluster, "login")
    states = {unit: in_folder(cluster, root, unit) for unit in RPC}
    if set(states.values()) <= set(QUIET):
        return
    raise failed(
        expected="neither unit is enabled there",
        actual=states,
        hint="What is changed on the node is gone at its next boot, and the socket would start the service.",
        node="sms",
        look=f"systemctl --root={root} is-enabled {' '.join(RPC)}",
    )


@check(step="boot", needs=[image_keeps_rpcbind_quiet], settle=45)
def login_booted_without_rpcbind(cluster: Cluster) -> None:
    """Since the login node booted, rpcbind has not listened there."""
    shown = cluster.login.run(f"systemctl show {' '.join(RPC)} -p ActiveState,ActiveEnterTimestampMonotonic")
    if re.search(r"^ActiveState=active", shown.output, flags=re.MULTILINE):
        raise failed(
            expected="nobody listens on port 111",
            actual="port 111 is open",
            hint="Has the folder been packed since you changed it, and has the node booted since then?",
            node="login",
            look=LOOK,
        )
    if re.search(r"Monotonic=[1-9]", shown.output):
        raise failed(
            expected="rpcbind was never started since the boot",
            actual="it was started with this boot, and stopped later",
            hint="Only a boot shows what a boot brings.",
            node="login",
            look="systemctl status rpcbind.socket",
        )


@check(step="boot", needs=[login_booted_without_rpcbind])
def only_ssh_is_offered(cluster: Cluster) -> None:
    """To others the login node offers ssh, and nothing else."""
    output = cluster.login.run("ss -Hutln").output
    found = [(words[0], *words[4].rsplit(":", 1)) for words in map(str.split, output.splitlines())]
    offered = sorted(
        {
            f"{kind} {port}"
            for kind, address, port in found
            if not re.match(r"127\.|\[::1\]", address) and (kind == "tcp" or int(port) < EPHEMERAL)
        }
    )
    if offered != ["tcp 22"]:
        raise failed(
            expected="tcp 22",
            actual=offered,
            hint="Which program is behind each, and who needs it?",
            node="login",
            look=LOOK,
        )
