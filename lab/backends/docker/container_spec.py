"""How the containers of a lab are created: pure functions from the specification to engine requests."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from lab.backends import unmanaged
from lab.backends.docker.engine import volume_name
from lab.model import ClusterSpec, Node, Role, Trust

# What a chassis may do, and why (lab/guest/files/chassis): mounts, namespaces and systemd; addresses and
# DHCP; reboot(2) in its PID namespace. Two are dropped before the node's system starts: for the offset of its
# boot time, and for answers that hwview writes into the memory of processes.
CAPABILITIES = ("SYS_ADMIN", "NET_ADMIN", "SYS_BOOT", "SYS_TIME", "SYS_NICE", "SYS_PTRACE")
# The switch enters network namespaces by process id, which needs the right to inspect processes.
SWITCH_CAPABILITIES = ("SYS_ADMIN", "NET_ADMIN", "SYS_PTRACE")

HOME, PUB, IDENTITY, CACHE, DISKS = "home", "pub", "identity", "cache", "disks"
SPECIFICATION, RESTORING, BOOTING = "spec", "restoring", "booting"  # volumes that only carry labels
VOLUMES = (HOME, PUB, IDENTITY, CACHE, DISKS)
EPHEMERAL = "borrowed"  # the identity while a start state is being created; removed afterwards
_BOOT = {Role.SMS: "disk", Role.OUTSIDE: "own", Role.CLIENT: "client", Role.RUNNER: "runner"}
"""What a chassis boots; without an entry: from the network."""
# With `trust = "nobody"`, the 65536 ids of all nodes begin here (lab/guest/files/chassis/own_ids.sh). All
# labs of an engine have the same: files of an SMS's disk lie in layers of an image, which the kernel cannot
# show to each lab under other ids. Neither systemd nor subuid(5) gives them away (systemd, UIDS-GIDS.md).
FIRST_ID = 0x70000000
VOLUMES_AT = "/volumes"
"""Below it, an SMS's chassis has the lab's volumes: the engine follows links when it mounts them."""
# Loop devices, of which a node's disk consists (lab/guest/native/hwview/disk.c).
DEVICE_RULES = ("b 7:* rwm", "c 10:237 rwm")
PERIOD = 100_000  # microseconds (kernel, sched-bwc): the usual one
UNLIMITED = -1


@dataclass(frozen=True)
class Chassis:
    """One node's container: what to create it with, apart from names and labels."""

    image: str
    environment: dict[str, str]
    binds: tuple[str, ...]
    memory: int  # bytes
    cpus: int

    @property
    def profile(self) -> str:
        """Digest of everything but the image; if it differs, the container must be remade."""
        facts = json.dumps([self.environment, self.binds, self.memory, self.cpus], sort_keys=True)
        return hashlib.sha256(facts.encode()).hexdigest()[:16]


def chassis_of(
    spec: ClusterSpec,
    node: Node,
    image: str,
    *,
    identity: str = IDENTITY,
    names_from: ClusterSpec | None = None,
) -> Chassis:
    """Says how a node's container is made; `identity` is the volume with the SMS's keys.

    `names_from` is the specification whose names an existing container was created with: a container's
    environment never changes, and other nodes' names are no reason to remake it.
    """
    boots_from_disk = node.role is Role.SMS
    environment = {
        "LAB_NODE": node.name,
        "LAB_BOOT": _BOOT.get(node.role, "network"),
        "LAB_BOOT_CARD": node.card.name,
        "LAB_MEMORY": str(node.memory),
        "LAB_CPUS": str(node.cpus),
        "LAB_GPUS": str(node.gpus),
        "LAB_DISK": str(node.disk if spec.trust is Trust.LEARNER else 0),
        "LAB_ROOT": spec.root.value,
        "LAB_SMS": str(spec.sms.address),
    }
    environment |= own_ids(spec)
    if not boots_from_disk:
        environment |= _outside_world(spec, node, names_from or spec)
    return Chassis(image, environment, _binds(spec, node.role, identity), node.memory << 20, node.cpus)


def own_ids(spec: ClusterSpec) -> dict[str, str]:
    """Tells a chassis and the switch where the ids of the nodes begin, if these are not the host's own."""
    return {"LAB_IDS": str(FIRST_ID)} if spec.trust is Trust.NOBODY else {}


def _outside_world(spec: ClusterSpec, node: Node, names_from: ClusterSpec) -> dict[str, str]:
    """What no SMS provides: addresses of external cards; address and names to unmanaged machines."""
    given, known = unmanaged.addresses(spec, node), unmanaged.names(names_from, node)
    found = {"LAB_EXTERNAL": " ".join(given)} if given else {}
    return found | ({"LAB_NAMES": ";".join(known)} if node.role in unmanaged.UNMANAGED else {})


def _binds(spec: ClusterSpec, role: Role, identity: str) -> tuple[str, ...]:
    """Shared storage: `boot` binds it on the SMS's disk, nodes mount it as if over NFS; others lack it.

    No volume is mounted on a disk: each time that the engine starts the container, it would follow links
    there, which root in the node makes, into the chassis. All nodes' disks share one volume; the SMS's
    chassis mounts it for snapshots, no node sees it.
    """
    if role in (Role.OUTSIDE, Role.RUNNER):
        return ()
    home, pub, keys, unpacked, disks = (
        volume_name(spec.lab, use) for use in (HOME, PUB, identity, CACHE, DISKS)
    )
    if role is Role.SMS:
        return (
            f"{home}:{VOLUMES_AT}/home",
            f"{pub}:{VOLUMES_AT}/opt/ohpc/pub",
            f"{keys}:{VOLUMES_AT}/var/lib/rackling",
            f"{disks}:/disks",
        )
    shared = (f"{home}:/shared/home", f"{pub}:/shared/opt/ohpc/pub")
    return shared if role is Role.CLIENT else (*shared, f"{unpacked}:/cache", f"{disks}:/disks")


def host_config(chassis: Chassis, host_cpus: int) -> dict[str, Any]:
    """Keyword arguments for the engine's host configuration of a chassis."""
    return {
        "binds": list(chassis.binds),
        "cap_add": list(CAPABILITIES),
        "cgroupns": "private",
        "devices": ["/dev/fuse"],
        "device_cgroup_rules": list(DEVICE_RULES) if _has_disk(chassis) else [],
        "log_config": {"type": "json-file", "config": {"max-size": "1m", "max-file": "2"}},
        "mem_limit": chassis.memory,
        "memswap_limit": chassis.memory,
        "network_mode": "none",
        "pids_limit": 4096,
        # With AppArmor, Docker's profile forbids every mount; the capabilities above still limit the chassis.
        "security_opt": ["apparmor=unconfined", f"seccomp={_system_calls()}"],
        "tmpfs": {"/run": "exec,mode=755", "/tmp": "exec"},  # noqa: S108 (of the chassis, not of the host)
        **processor_time(chassis.cpus, host_cpus),
    }


def _has_disk(chassis: Chassis) -> bool:
    return chassis.environment["LAB_BOOT"] == "network" and "LAB_IDS" not in chassis.environment


@cache
def _system_calls() -> str:
    """The system calls that a chassis and its node may make, as one line of JSON for the engine.

    The list of Docker lacks pivot_root(2), with which the node's root replaces the chassis's tree. Unlike it
    for a container with CAP_SYS_ADMIN, this list has nothing that looks into the host's kernel: bpf(2),
    perf_event_open(2), syslog(2), quotactl(2).
    """
    listed = (Path(__file__).parent / "settings" / "seccomp.json").read_text(encoding="utf-8")
    return json.dumps(json.loads(listed), separators=(",", ":"))


def processor_time(cpus: int, host_cpus: int) -> dict[str, int]:
    """Processor limits in the form that the engine can also update; none for a node as large as the host."""
    return {"cpu_period": PERIOD, "cpu_quota": cpus * PERIOD if cpus < host_cpus else UNLIMITED}


def switch_host_config(lab: str) -> dict[str, Any]:
    """Keyword arguments for the engine's host configuration of the lab's switch."""
    return {
        "binds": [
            f"{volume_name(lab, HOME)}:/volumes/home",
            f"{volume_name(lab, PUB)}:/volumes/pub",
            f"{volume_name(lab, DISKS)}:/volumes/disks",
        ],
        "cap_add": list(SWITCH_CAPABILITIES),
        "cgroupns": "private",
        "log_config": {"type": "json-file", "config": {"max-size": "100k", "max-file": "1"}},
        "mem_limit": 64 << 20,
        "network_mode": "none",
        "pid_mode": "host",
        "security_opt": ["apparmor=unconfined"],
        "tmpfs": {"/run": "mode=755"},
    }


def cables(node: Node, pid: int) -> list[str]:
    """Arguments for `switch plug`: the cables of the chassis whose first process is `pid`."""
    words: list[str] = []
    for card in node.interfaces:
        words += [str(pid), node.name, card.name, card.mac, card.network]
    return words
