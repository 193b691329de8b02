"""What stands between root in a container node and this host: tried in a container made as a node's is."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from lab.backends.base import Protection
from lab.backends.docker import engine
from lab.backends.docker.container_spec import Chassis, host_config
from lab.errors import LabError

if TYPE_CHECKING:
    from docker import APIClient

MEMORY = 64 << 20
SECONDS = 60
IDMAPPED = (5, 12)  # first kernel with mount_setattr(2), MOUNT_ATTR_IDMAP
FILTERED = "2"  # SECCOMP_MODE_FILTER, as /proc/PID/status shows it
STRANGERS = "for strangers, labs of virtual machines"
# Shell only, as the chassis has few programs. 10:183 is /dev/hwrng, which no node may open: with a rule the
# kernel refuses it, without one it says that there is no such device.
LOOK = r"""
say() { [ -r "$2" ] && IFS= read -r line <"$2" && echo "$1=$line"; }
say profile /proc/self/attr/current
say uids /proc/self/uid_map
say kernel /proc/sys/kernel/osrelease
say boot /proc/cmdline
say limit /sys/fs/cgroup/memory/memory.limit_in_bytes || say limit /sys/fs/cgroup/memory.max
while read -r key value; do [ "$key" = Seccomp: ] && echo "filter=$value"; done </proc/self/status
unshare --user true && echo namespaces=yes
mknod /dev/forbidden c 10 183 && echo "device=$({ : </dev/forbidden; } 2>&1)"
"""


def examine(client: APIClient, info: dict[str, Any]) -> tuple[Protection, ...]:
    """The rows of Docker's table; of what cannot be tried they say so."""
    try:
        with engine.translate_errors("looking at the protection of a container", "lab images build"):
            return rows(info, _look(client), *_privileged(client))
    except LabError as problem:
        why = f"{problem.message}: {problem.evidence}"
        return (Protection("a node's container", "this host", None, why, problem.hint),)


def _privileged(client: APIClient) -> tuple[int, list[str]]:
    """How many containers of labs there are, and the names of those that are privileged."""
    import docker

    described = []
    for listed in client.containers(all=True, filters=engine.lab_filter(None)):
        with suppress(docker.errors.NotFound):  # somebody took it down meanwhile
            described.append(client.inspect_container(listed["Id"]))
    return len(described), [one["Name"].lstrip("/") for one in described if one["HostConfig"]["Privileged"]]


def _look(client: APIClient) -> dict[str, str]:
    """What a short-lived container sees of itself."""
    chassis = Chassis(engine.image("chassis"), {"LAB_BOOT": "network"}, (), MEMORY, 1)
    made = client.create_container(
        chassis.image,
        command=["sh", "-c", LOOK],
        host_config=client.create_host_config(**host_config(chassis, 1)),
        labels={engine.PART: "probe"},
    )
    try:
        client.start(made["Id"])
        client.wait(made["Id"], timeout=SECONDS)
        said = client.logs(made["Id"], stderr=False).decode(errors="replace")
    finally:
        client.remove_container(made["Id"], force=True)
    return dict(line.split("=", 1) for line in said.splitlines() if "=" in line)


def rows(
    info: dict[str, Any], seen: dict[str, str], count: int, privileged: list[str]
) -> tuple[Protection, ...]:
    """The table, from what the engine and a container say; `seen` has no entry for what could not be read."""
    return (
        _no_privilege(count, privileged),
        _devices(seen.get("device")),
        _system_calls(seen.get("filter")),
        _profile(info, seen.get("profile", "").strip("\0 ")),
        _namespace(seen),
        _idmapped(seen.get("kernel", "")),
        _cgroup(info),
        _memory(seen),
    )


def _no_privilege(count: int, privileged: list[str]) -> Protection:
    told = f"{' '.join(privileged)} is privileged" if privileged else f"none of {count} is privileged"
    return Protection(
        "no privileged containers",
        "devices and settings of this host",
        not privileged,
        f"containers of labs: {told}",
        "lab down, then lab up: lab makes no such container",
    )


def _devices(refusal: str | None) -> Protection:
    given = None if refusal is None else "Operation not permitted" in refusal
    told = {
        None: "no device could be made to try",
        True: "a device that no node needs is refused",
        False: f"a device that no node needs can be opened: {refusal}",
    }
    advice = "an engine whose host has the cgroup of devices (v1), or eBPF (v2)"
    return Protection("rules of devices", "disks and hardware of this host", given, told[given], advice)


def _system_calls(mode: str | None) -> Protection:
    return Protection(
        "list of system calls",
        "what looks into the kernel: bpf, perf, keys",
        None if mode is None else mode == FILTERED,
        f"seccomp is {'active' if mode == FILTERED else f'in mode {mode}'} in a node's container",
        "an engine whose `docker info` lists seccomp",
    )


def _profile(info: dict[str, Any], profile: str) -> Protection:
    known = re.findall(r"name=(apparmor|selinux)", " ".join(info.get("SecurityOptions") or ()))
    given = profile not in ("", "unconfined")
    told = f"engine: {' '.join(known) or 'neither'}; a node's container: {profile or 'no profile'}"
    advice = f"{STRANGERS}: Docker's profile forbids the mounts that a node makes"
    return Protection("AppArmor or SELinux", "files of this host from what left a node", given, told, advice)


def _namespace(seen: dict[str, str]) -> Protection:
    mapped = seen.get("uids", "").split()
    given = None if len(mapped) != 3 else mapped[1] != "0"
    told = "root in a node's container is root on this host" if given is False else f"mapping: {mapped}"
    has = "has" if seen.get("namespaces") else "does not give containers"
    return Protection(
        "user namespace",
        "this host from root that left a node",
        given,
        f"{told}; the kernel {has} user namespaces",
        f'trust = "nobody" in lab.toml; {STRANGERS}',
    )


def _idmapped(kernel: str) -> Protection:
    found = re.match(r"(\d+)\.(\d+)", kernel)
    given = None if found is None else (int(found[1]), int(found[2])) >= IDMAPPED
    told = f"kernel {kernel}; they came with 5.12"
    return Protection(
        "id-mapped mounts", "owners of files below a user namespace", given, told, "a newer kernel"
    )


def _cgroup(info: dict[str, Any]) -> Protection:
    version = str(info.get("CgroupVersion") or "1")
    told = {"1": "v1: a node's groups lie below those with its limits", "2": "v2"}
    return Protection(
        "cgroup", "limits from the root that they limit", given=True, evidence=told.get(version, version)
    )


def _memory(seen: dict[str, str]) -> Protection:
    limit, boot = seen.get("limit"), seen.get("boot", "")
    counted = "cgroup.memory=nokmem" not in boot and "nokmem" not in boot
    given = None if limit is None else limit == str(MEMORY) and counted
    told = f"limit of {MEMORY >> 20} MiB: {'kept' if limit == str(MEMORY) else limit or 'not to be read'}"
    return Protection(
        "limit of memory",
        "memory of this host, what its kernel uses for a node included",
        given,
        f"{told}; the kernel's own memory is {'' if counted else 'not '}counted",
        "no cgroup.memory=nokmem and no cgroup_disable=memory on the kernel's command line",
    )
