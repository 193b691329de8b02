"""A configuration with everything that is awkward to fetch, and what each release sends of it."""

from __future__ import annotations

from dataclasses import dataclass

HOST = "awk"

LATIN = b"# caf\xe9 in Latin-1, \xff, and a line of another system\r\n"
SCRIPT = b"#!/bin/sh\n# \xfc\nexit 0\n"

CONF = (
    LATIN
    + b"ClusterName=awkward\nSlurmUser=slurm\nAuthType=auth/%(auth)s\nCredType=cred/%(auth)s\n"
    + b"AuthAltTypes=auth/jwt\nAuthAltParameters=jwt_key=/etc/slurm/jwt_hs256.key\n"
    + b"SlurmctldHost=%(host)s\nSlurmctldParameters=enable_configless\n"
    + b"StateSaveLocation=/var/spool/slurmctld\nSlurmdSpoolDir=/var/spool/slurmd.%%n\n"
    + b"ProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\nSelectType=select/cons_tres\n"
    + b"SelectTypeParameters=CR_CPU\n"
)
NODES = b"NodeName=n1 NodeAddr=127.0.0.1 CPUs=1\nPartitionName=p Nodes=n1 Default=YES"  # no line end

INCLUDED = ("-dash.conf", ".hidden.conf", "na\u00efve\u2013\u540d.conf", "nodes.conf")
"""Files that slurm.conf includes by a plain name: sent from 21.08 on."""

INNER = "inner.conf"
"""A file that an included file includes."""


@dataclass(frozen=True)
class Expected:
    """What a release sends of the awkward configuration."""

    client: frozenset[str]
    slurmd: frozenset[str]


def files(release: str, auth: str) -> dict[str, bytes]:
    """The files of /etc/slurm, by name."""
    conf = CONF % {b"auth": auth.encode(), b"host": HOST.encode()}
    conf += b"".join(f"Include {name}\n".encode() for name in INCLUDED)
    conf += b"Include sub/far.conf\n"
    if release >= "23.11":
        conf += b"Prolog=sub/twice.sh\nEpilog=sub/twice.sh\n"
    conf += b"# the last line has no end"
    found = {
        "slurm.conf": conf,
        "-dash.conf": b"# " + b"x" * 5000 + b"\n",
        ".hidden.conf": b"Include inner.conf\n",
        INNER: b"",
        "na\u00efve\u2013\u540d.conf": LATIN,
        "nodes.conf": NODES,
        "sub/far.conf": b"# obeyed by slurmctld, never sent\n",
        "sub/twice.sh": SCRIPT,
        "plugstack.conf": b"",
        "cgroup.conf": b"# \xe9\nConstrainCores=no\n",
        "gres.conf": b"# no device\n",
    }
    if release >= "22.05":
        found["cli_filter.lua"] = b"-- \xe4\n"
    return found


def expected(release: str) -> Expected:
    """The names that arrive, by set (section 7 of the protocol's description)."""
    client = {"slurm.conf"}
    slurmd = {"slurm.conf", "cgroup.conf", "gres.conf"}
    if release >= "21.08":
        included = {*INCLUDED, INNER, "cli_filter.lua", "plugstack.conf"}
        client |= included
        slurmd |= included
    if release >= "23.11":
        slurmd.add("sub/twice.sh")
    return Expected(frozenset(client), frozenset(slurmd))


def large(release: str) -> str:
    """A file of the slurmd set that slurmctld hands out and reads nothing from."""
    return "helpers.conf" if release >= "21.08" else "knl_cray.conf"
