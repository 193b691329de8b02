"""Slurm's configuration on the SMS: written once when the lab is made; nodes are added later."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from lab.guest.setup.cluster import Description, Machine
from lab.guest.system import System
from lab.siphon.fetch.hostlist import HostlistError, expand

CONF = "/etc/slurm/slurm.conf"
CGROUP_CONF = "/etc/slurm/cgroup.conf"
GRES_CONF = "/etc/slurm/gres.conf"
RESERVED_MEMORY = 10  # percent of a node's memory that jobs cannot use

BASE = """\
# Slurm configuration of the lab's cluster. Nodes fetch this file from the controller (configless).
ClusterName=cluster
SlurmctldHost=sms
SlurmUser=slurm
AuthType=auth/munge
AuthAltTypes=auth/jwt
AuthAltParameters=jwt_key=/etc/slurm/jwt_hs256.key
SlurmctldParameters=enable_configless
StateSaveLocation=/var/lib/slurm/slurmctld
SlurmdSpoolDir=/var/lib/slurm/slurmd
SlurmctldPidFile=/run/slurmctld/slurmctld.pid
SlurmdPidFile=/run/slurm/slurmd.pid
SlurmctldLogFile=/var/log/slurm/slurmctld.log
SlurmdLogFile=/var/log/slurm/slurmd.log
MailProg=/bin/true
SwitchType=switch/none
MpiDefault=none

# Jobs: processes are tracked by their parents, which works on every host.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
GresTypes=gpu
# A job that no partition can run is rejected at once; without this it would wait forever.
EnforcePartLimits=ALL

# Nodes: a node that reboots unexpectedly stays down until an administrator resumes it.
ReturnToService=1
SlurmdTimeout=300
ResumeTimeout=300
SlurmdParameters=config_overrides
HealthCheckProgram=/usr/sbin/nhc
HealthCheckInterval=300
#RebootProgram=

# Accounting is off; an exercise turns it on.
#AccountingStorageEnforce=0
AccountingStorageType=accounting_storage/none
"""
CGROUP = "# Slurm cannot manage cgroups inside containers.\nCgroupPlugin=disabled\n"
PARTITION = "PartitionName=normal Nodes={} Default=YES MaxTime=24:00:00 State=UP OverSubscribe=EXCLUSIVE\n"
HARDWARE = "Sockets={} CoresPerSocket=1 ThreadsPerCore=1 RealMemory={}{} State=UNKNOWN"


def write(system: System, cluster: Description) -> bool:
    """Writes the configuration, or adds missing nodes to it; returns whether a controller must reread it."""
    if not system.exists(CGROUP_CONF):
        system.write(CGROUP_CONF, CGROUP.encode())
    current = system.text(CONF, "")
    _write_gres(system, cluster.compute, _not_named(current, cluster.compute))
    if not current:
        system.write(CONF, (BASE + "\n" + nodes(cluster.compute)).encode())
        return False
    updated = add_nodes(current, cluster.compute)
    return system.write(CONF, updated.encode("utf-8", "surrogateescape"))


def _write_gres(system: System, machines: Sequence[Machine], new: Sequence[Machine]) -> None:
    """Writes the GPUs of all nodes, or adds those of new nodes; what else is in the file stays."""
    if not system.exists(GRES_CONF):
        system.write(GRES_CONF, gres(machines).encode())
    text = system.text(GRES_CONF)
    rows = _gres_rows(_not_named(text, new))
    if rows:
        text = "\n".join([text.rstrip("\n"), *rows, ""])
        system.write(GRES_CONF, text.encode("utf-8", "surrogateescape"))


def nodes(machines: Sequence[Machine]) -> str:
    """One line per group of nodes with equal hardware, and the partition `normal`."""
    names = [machine.name for machine in machines]
    return _lines(machines) + (PARTITION.format(hostlist(names)) if names else "")


def _lines(machines: Iterable[Machine]) -> str:
    found: dict[str, list[str]] = {}
    for machine in machines:
        memory = machine.memory * (100 - RESERVED_MEMORY) // 100
        gpus = f" Gres=gpu:{machine.gpus}" if machine.gpus else ""
        found.setdefault(HARDWARE.format(machine.cpus, memory, gpus), []).append(machine.name)
    return "".join(f"NodeName={hostlist(names)} {hardware}\n" for hardware, names in found.items())


def gres(machines: Sequence[Machine]) -> str:
    """gres.conf: the character devices that stand for GPUs, numbered so that jobs learn which they have."""
    lines = ["# Emulated GPUs: device files without a device behind them.", *_gres_rows(machines)]
    return "\n".join(lines) + "\n"


def _gres_rows(machines: Iterable[Machine]) -> list[str]:
    return [
        f"NodeName={machine.name} Name=gpu File=/dev/nvidia{_numbers(machine.gpus)}"
        for machine in machines
        if machine.gpus
    ]


def _numbers(count: int) -> str:
    return f"[0-{count - 1}]" if count > 1 else "0"


def add_nodes(text: str, machines: Sequence[Machine]) -> str:
    """Adds lines for nodes that the file does not name, and adds them to the partition `normal`."""
    known = _named(text)
    new = _not_named(text, machines)
    if not new:
        return text
    more = "," + hostlist([machine.name for machine in new])
    text, partitions = re.subn(
        r"(?im)^(\s*PartitionName=normal[ \t](?:.*[ \t])?Nodes=)(?!ALL\b)(\S+)",
        lambda found: found[1] + found[2] + more,
        text,
    )
    text = text.rstrip("\n") + "\n" + _lines(new)
    # A lab without compute nodes starts without a partition. A learner's own partitions are not touched.
    if not partitions and not known and not re.search(r"(?im)^\s*PartitionName=", text):
        text += PARTITION.format(more[1:])
    return text


def _named(text: str) -> set[str]:
    """The nodes that the NodeName lines of a configuration name."""
    return {name for line in re.findall(r"(?im)^\s*NodeName=(\S+)", text) for name in listed_names(line)}


def _not_named(text: str, machines: Iterable[Machine]) -> list[Machine]:
    known = _named(text)
    return [machine for machine in machines if machine.name not in known]


def listed_names(hosts: str) -> tuple[str, ...]:
    """The names in a host list; one that Slurm itself will refuse is split at its commas."""
    try:
        return expand(hosts)
    except HostlistError:
        return tuple(name for name in hosts.split(",") if name)


def hostlist(names: Sequence[str]) -> str:
    """Shortens names as Slurm does (src/common/hostlist.c): c1,c2,g1 becomes c[1-2],g1."""
    groups: dict[str, list[int]] = {}
    plain: list[str] = []
    for name in names:
        found = re.fullmatch(r"(.*?)([1-9][0-9]*)", name)
        if found:
            groups.setdefault(found[1], []).append(int(found[2]))
        else:
            plain.append(name)
    return ",".join([*plain, *(prefix + _ranges(sorted(numbers)) for prefix, numbers in groups.items())])


def _ranges(numbers: list[int]) -> str:
    if len(numbers) == 1:
        return str(numbers[0])
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return "[" + ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs) + "]"
