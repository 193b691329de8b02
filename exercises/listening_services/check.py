"""SEC-1: the listening services of the login node are recorded, and after a boot only ssh is left."""

from __future__ import annotations

import re

from lab.checks import ClusterView, check, chroot_of, failed, given_files, require_packed, stands

NOTES = "listening.txt"
RPC = ("rpcbind.socket", "rpcbind.service")
QUIET = ("disabled", "masked", "masked-runtime", "not-found")
UNITS = ("etc/systemd/system", *(f"usr/lib/systemd/system/{unit}" for unit in RPC))  # in the chroot
LOOK = "netstat -utlp"
EPHEMERAL = 32768  # a UDP socket from this port on most likely only sends


def in_folder(cluster: ClusterView, root: str, unit: str) -> str:
    """Whether a unit starts when a system in a folder boots, in systemd's words."""
    held = f"{root}/etc/systemd/system/{unit}.d {root}/etc/systemd/system/{unit}"
    if cluster.sms.run(f"grep -rqsE '^ *(Condition|Assert)[A-Za-z]+ *= *[^ ]' {held}").exit_status == 0:
        return "disabled"  # it has a condition of its own; the boot shows whether it is met
    answer = cluster.sms.run(f"systemctl --root={root} is-enabled {unit}")
    words = answer.output.split()
    known = len(words) == 1 and "/" not in words[0]
    return words[0] if known else "not-found"


@check(step="look")
def inventory_is_written_down(cluster: ClusterView) -> None:
    """user1 has a list on the SMS of what listened on the login node: ssh and rpcbind."""
    answer = cluster.sms.run(f"cat ~user1/{NOTES}")
    look = f"cat ~user1/{NOTES}"
    if answer.exit_status != 0:
        raise failed(
            expected=f"a file {NOTES} in the home directory of user1",
            actual="no such file",
            hint="`>` after a command writes its output to a file.",
            node="sms",
            look=look,
        )
    wanted = {"ssh": r"sshd?\b|:22\b", "rpcbind": r"rpcbind|sunrpc|:111\b"}
    lacking = [name for name, pattern in wanted.items() if not re.search(pattern, answer.output)]
    if lacking:
        raise failed(
            expected="ssh and rpcbind in the list, by name or port",
            actual=f"{', '.join(lacking)} not in it",
            hint="Did you run it on the login node, as root, and before you disabled anything?",
            node="sms",
            look=look,
        )


def delivered(cluster: ClusterView) -> bool:
    """Whether files of Warewulf's change both units on the login node, e.g. mask them."""
    paths = given_files(cluster, "login")
    return all(any(f"/{unit}" in path for path in paths) for unit in RPC)


@check(step="image")
def image_keeps_rpcbind_quiet(cluster: ClusterView) -> None:
    """In the chroot of the login node, neither rpcbind nor its socket is enabled."""
    root = chroot_of(cluster, "login")
    states = {unit: in_folder(cluster, root, unit) for unit in RPC}
    if set(states.values()) <= set(QUIET) or delivered(cluster):
        return
    raise failed(
        expected="neither unit is enabled there",
        actual=states,
        hint="A change on the node is lost at its next boot. The socket starts the service, so disable both.",
        node="sms",
        look=f"systemctl --root={root} is-enabled {' '.join(RPC)}",
    )


@check(step="image", needs=[image_keeps_rpcbind_quiet])
def image_is_packed(cluster: ClusterView) -> None:
    """The VNFS is packed with this change, so the next boot of a node brings it."""
    if not delivered(cluster):
        require_packed(cluster, "login", *UNITS)


@check(step="boot", needs=[image_is_packed], settle=45)
def login_booted_without_rpcbind(cluster: ClusterView) -> None:
    """The service rpcbind has not listened on the login node since it booted."""
    shown = cluster.login.run(f"systemctl show {' '.join(RPC)} -p ActiveState,ActiveEnterTimestampMonotonic")
    if re.search(r"^ActiveState=active", shown.output, flags=re.MULTILINE):
        raise failed(
            expected="port 111 is closed",
            actual="port 111 is open",
            hint="The VNFS is packed with your change. Has the login node booted since then?",
            node="login",
            look=LOOK,
            final=stands(cluster.login),
        )
    if re.search(r"Monotonic=[1-9]", shown.output):
        raise failed(
            expected="rpcbind was not started since the boot",
            actual="it was started at this boot, and stopped later",
            hint="Reboot the node to see what starts at boot.",
            node="login",
            look="systemctl status rpcbind.socket",
            final=stands(cluster.login),
        )


@check(step="boot", needs=[login_booted_without_rpcbind])
def only_ssh_is_offered(cluster: ClusterView) -> None:
    """The login node offers ssh to other machines, and nothing else."""
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
            hint="Which program owns each socket, and who needs it?",
            node="login",
            look=LOOK,
        )
