"""The program `handout`: sets up the SMS. systemd runs it at each boot, before the services start."""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import Sequence

from lab.guest.setup import cluster, host, provisioning, runner, slurm, sms_address, vm_host
from lab.guest.setup.adopt_identity import FILES, Adoption
from lab.guest.setup.identity import Identity
from lab.guest.system import System

READY = "/run/rackling/ready"


def main(_arguments: Sequence[str], system: System) -> int:
    """Sets up the SMS and writes the result to /run/rackling/ready, which `lab up` reads."""
    started = time.monotonic()
    system.make_dir("/run/rackling")
    try:
        _set_up(system)
        result, status = "ok", 0
    except Exception as problem:  # any failure must reach `lab up`
        traceback.print_exc(file=sys.stderr)
        result, status = f"{type(problem).__name__}: {problem}", 1
    seconds = round(time.monotonic() - started, 2)
    system.write(READY, json.dumps({"result": result, "seconds": seconds}).encode())
    return status


def _set_up(system: System) -> None:
    description = cluster.read(system)
    host.raise_network(system, description)
    host.write_hosts(system, description)
    identity = Identity(system)
    runner.make_keys(description, identity)
    adoption = Adoption(system, identity)
    host.install_keys(system, description, identity)
    host.install_users(system, identity, renew=adoption.needed)
    runner.install(system, description, identity)
    host.write_services(system, description)
    if description.own_kernels:
        vm_host.prepare(system, description)
    slurm_changed = slurm.write(system, description)
    if adoption.needed:
        adoption.homes()
        provisioning.repack(system, adoption.vnfs_of(adoption.chroots()))
        provisioning.reread(system, FILES)
    filled_in = sms_address.fill_in(system, description)
    chroot_changed = host.prepare_chroot(system, description, identity) or filled_in
    provisioning.bring_up(system, description, chroot_changed=chroot_changed)
    adoption.finish()
    # Last: a controller that learns of a node before its name can be resolved marks the node as down.
    if slurm_changed and system.run(["systemctl", "is-active", "--quiet", "slurmctld"]).status == 0:
        system.run(["scontrol", "reconfigure"])
