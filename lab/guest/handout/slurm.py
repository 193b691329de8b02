"""Slurm's configuration on the SMS: written once as the course hands it out, nodes added later without undoing edits."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from lab.guest.handout.cluster import Description, Machine
from lab.guest.system import System

CONF = "/etc/slurm/slurm.conf"
RESERVED_MEMORY = 10  # percent of a node's memory that jobs cannot have

BASE = """\
# Slurm of the lab's cluster. Nodes fetch this file from the controller (configless).
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

# Jobs: processes are followed by their parentage, which works on every host.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
GresTypes=gpu

# Nodes: one that reboots unasked stays down until somebody looks at it.
ReturnToService=1
SlurmdTimeout=300
ResumeTimeout=300
SlurmdParameters=config_overrides
HealthCheckProgram=/usr/sbin/nhc
HealthCheckInterval=300
#RebootProgram=

# Accounting is off; turning it on is an exercise.
AccountingStorageType=accounting_storage/none
"""


def write(system: System, cluster: Description) -> bool:
    """Writes the configuration, or adds nodes it does not know; says whether a running controller must be told."""
    system.write("/etc/slurm/cgroup.conf", b"# Containers have no cgroups to give away.\nCgroupPlugin=disabled\n")
    system.write("/etc/slurm/gres.conf", gres(cluster.compute).encode())
    current = system.text(CONF, "")
    if not current:
        system.write(CONF, (BASE + "\n" + nodes(cluster.compute)).encode())
        return False
    updated = add_nodes(current, cluster.compute)
    return system.write(CONF, updated.encode())


def nodes(machines: Sequence[Machine]) -> str:
    """Node lines of equal hardware together, and the one partition."""
    lines = []
    for hardware, names in _alike(machines):
        lines.append(f"NodeName={hostlist(names)} {hardware}")
    names = [machine.name for machine in machines]
    lines.append(
        f"PartitionName=normal Nodes={hostlist(names)} Default=YES MaxTime=24:00:00 State=UP OverSubscribe=EXCLUSIVE"
    )
    return "\n".join(lines) + "\n"


def _alike(machines: Iterable[Machine]) -> list[tuple[str, list[str]]]:
    found: dict[str, list[str]] = {}
    for machine in machines:
        memory = machine.memory * (100 - RESERVED_MEMORY) // 100
        gpus = f" Gres=gpu:{machine.gpus}" if machine.gpus else ""
        hardware = f"Sockets={machine.cpus} CoresPerSocket=1 ThreadsPerCore=1 RealMemory={memory}{gpus} State=UNKNOWN"
        found.setdefault(hardware, []).append(machine.name)
    return list(found.items())


def gres(machines: Sequence[Machine]) -> str:
    """Which device files are GPUs: character devices, so that jobs learn their numbers."""
    lines = ["# Emulated GPUs: character devices nothing answers behind."]
    for machine in machines:
        if machine.gpus:
            last = f"[0-{machine.gpus - 1}]" if machine.gpus > 1 else "0"
            lines.append(f"NodeName={machine.name} Name=gpu File=/dev/nvidia{last}")
    return "\n".join(lines) + "\n"


def add_nodes(text: str, machines: Sequence[Machine]) -> str:
    """Adds lines for nodes the file does not name, and names them in the partition `normal`."""
    known = {name for line in re.findall(r"(?im)^\s*NodeName=(\S+)", text) for name in expand(line)}
    new = [machine for machine in machines if machine.name not in known]
    if not new:
        return text
    lines = "".join(f"NodeName={hostlist(names)} {hardware}\n" for hardware, names in _alike(new))
    text = re.sub(
        r"(?im)^(\s*PartitionName=normal\b.*?\bNodes=)(\S+)",
        lambda found: found[1] + found[2] + "," + hostlist([machine.name for machine in new]),
        text,
    )
    return text.rstrip("\n") + "\n" + lines


def hostlist(names: Sequence[str]) -> str:
    """c1,c2,g1 as c[1-2],g1: Slurm's own short form (hostlist.c), for names with a number at the end."""
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


def expand(hosts: str) -> list[str]:
    """The names a short form stands for; one pair of brackets a word, as we write them."""
    names: list[str] = []
    for word in re.findall(r"[^,\[]+(?:\[[^\]]*\])?", hosts):
        found = re.fullmatch(r"(.*)\[(.*)\]", word)
        if not found:
            names.append(word)
            continue
        for part in found[2].split(","):
            first, _, last = part.partition("-")
            names += [f"{found[1]}{number}" for number in range(int(first), int(last or first) + 1)]
    return names
