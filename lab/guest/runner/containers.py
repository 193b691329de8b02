"""systemd-nspawn containers of roles: their ssh socket starts them, and idleness stops them.

As in the paper on stateless provisioning: a socket of the runner starts the container, and the sshd inside is
activated by the same socket. The tree stays as it is: what the container writes goes to memory.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable

from lab.guest.runner.places import CONTAINER_KEY, NAME, RUN, TREES, RunnerError
from lab.guest.system import System

FIRST_PORT, PORTS = 2200, 100
UNITS = "/run/systemd/system"
IDLE_SECONDS = 30.0
ESTABLISHED = "01"
"""A state in /proc/net/tcp (Linux, include/net/tcp_states.h)."""
_PORT = re.compile(r"^ListenStream=127\.0\.0\.1:(\d+)$", re.MULTILINE)


def offer(system: System, role: str) -> int:
    """Makes the socket of a role's container and the name for ssh; returns the port. Nothing is started."""
    _checked(role)
    tree = f"{TREES}/{role}/work/root"
    if not system.is_dir(f"{tree}/usr"):
        raise RunnerError(f"there is no tree of {role}", evidence=tree, hint="nodeimage tree FOLDER")
    own = port(system, role)
    listen = f"[Socket]\nListenStream=127.0.0.1:{own}\n"
    system.write(f"{UNITS}/node@{role}.socket.d/port.conf", listen.encode())
    # The list in the tree is emptied first: it has port 22, which is the runner's own.
    inside = f"[Socket]\nListenStream=\nListenStream=127.0.0.1:{own}\n"
    system.write(f"{RUN}/{role}/ssh.socket.d/port.conf", inside.encode())
    # systemd gives the socket that it got to a unit that it has loaded before it starts any (manager.c,
    # manager_startup): the root mount is one, and has ssh.socket loaded with it.
    system.write(f"{RUN}/{role}/root.mount.d/ssh.conf", b"[Unit]\nWants=ssh.socket\n")
    system.write(f"{RUN}/{role}/authorized_keys", system.read(f"{CONTAINER_KEY}.pub"), mode=0o600)
    system.write(f"{RUN}/{role}/ssh_config", _ssh_config(role, own).encode())
    for words in (["daemon-reload"], ["start", f"node@{role}.socket"]):
        _systemctl(system, *words)
    return own


def stop(system: System, role: str) -> None:
    """Stops a role's container; its socket stays, and starts it again."""
    _systemctl(system, "stop", f"node@{_checked(role)}.service")


def stop_all(system: System) -> None:
    """Stops all containers: a pipeline begins and ends without any."""
    _systemctl(system, "stop", "node@*.service")


def port(system: System, role: str) -> int:
    """The port of a role: the one that it has, or the lowest free one."""
    taken = {}
    for name in system.names(UNITS):
        if name.startswith("node@") and name.endswith(".socket.d"):
            found = _PORT.search(system.text(f"{UNITS}/{name}/port.conf", ""))
            if found:
                taken[name[len("node@") : -len(".socket.d")]] = int(found[1])
    if role in taken:
        return taken[role]
    free = sorted(set(range(FIRST_PORT, FIRST_PORT + PORTS)) - set(taken.values()))
    if not free:
        raise RunnerError(
            f"no port is free for {role}", evidence=f"{PORTS} roles have one", hint=f"ls {UNITS}"
        )
    return free[0]


def watch(system: System, role: str, *, sleep: Callable[[float], None] = time.sleep) -> None:
    """Stops a role's container when it has had no connection for IDLE_SECONDS."""
    own, used = port(system, _checked(role)), system.clock()
    while system.clock() - used < IDLE_SECONDS:
        sleep(2)
        if connections(system.text("/proc/net/tcp"), own):
            used = system.clock()
    _systemctl(system, "--no-block", "stop", f"node@{role}.service")


def connections(table: str, port: int) -> int:
    """How many connections to a local port are established, in a table like /proc/net/tcp (proc_net(5))."""
    rows = [line.split() for line in table.splitlines()[1:]]
    return sum(row[3] == ESTABLISHED and row[1].endswith(f":{port:04X}") for row in rows if len(row) > 3)


def _ssh_config(role: str, port: int) -> str:
    options = {
        "HostName": "127.0.0.1", "Port": port, "User": "root",
        "IdentityFile": CONTAINER_KEY, "IdentitiesOnly": "yes", "StrictHostKeyChecking": "no",
        "UserKnownHostsFile": "/dev/null", "LogLevel": "ERROR",
    }  # fmt: skip
    return "".join([f"Host {role}\n", *(f"    {name} {value}\n" for name, value in options.items())])


def _checked(role: str) -> str:
    if not NAME.fullmatch(role):
        raise RunnerError(f"{role!r} is no name of a container", hint=f"ls {TREES}")
    return role


def _systemctl(system: System, *words: str) -> None:
    done = system.run(["systemctl", *words])
    if done.status:
        raise RunnerError(
            f"systemctl {' '.join(words)} failed",
            evidence=done.err.decode(errors="replace").strip(),
            hint=f"systemctl status {os.path.basename(words[-1])}; journalctl -u {words[-1]}",
        )
