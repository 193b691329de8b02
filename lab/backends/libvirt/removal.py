"""Removes a lab: repeats until libvirt lists nothing of it."""

from __future__ import annotations

import glob
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from lab.backends.base import Say
from lab.backends.libvirt import engine, inspection, user_network
from lab.backends.libvirt.engine import ignore_missing, translate_errors
from lab.backends.libvirt.ssh_channel import Door
from lab.backends.libvirt.storage import LabFolder, lab_names
from lab.backends.object_names import part_of
from lab.backends.parallel import for_each_parallel
from lab.errors import LabError

ROUNDS = 5  # a killed `up` may have sent a request that libvirt executes after our first listing


def lab(connection: Any, name: str, say: Say) -> None:
    """Removes every machine, network and file of a lab."""
    for _ in range(ROUNDS):
        found = inspection.domains(connection, name)
        wires = inspection.networks(connection, name)
        if not found and not wires and name not in lab_names():
            return
        if found:
            say(f"removing {len(found)} machines")
        for_each_parallel(found, lambda one: machine(name, one.thing))
        for wire in wires:
            network(wire.thing)
        user_network.stop_switch(LabFolder(name))
        LabFolder(name).remove()
    left = [str(one.thing.name()) for one in (*found, *wires)]
    raise LabError(
        f"lab {name} could not be removed completely",
        evidence=f"libvirt still has: {', '.join(left)}"
        if left
        else f"{LabFolder(name).path} is still there",
        hint=f"lab down -l {name} again",
    )


def machine(name: str, domain: Any) -> None:
    """Cuts a machine's power and removes it with its files; one that no longer exists is fine."""
    with translate_errors(f"removing {domain.name()}"):
        node = part_of(domain.name(), name)
        Door(LabFolder(name), node).close()
        unplug(domain)
        with ignore_missing():
            domain.undefine()
        forget_log(domain.name())
    LabFolder(name).forget(node)


def forget_log(machine_name: str) -> None:
    """Removes what libvirt wrote of a machine: its command lines, and what QEMU complained of.

    libvirt keeps it for good, with older parts as .0, .1. Only who may write there removes it.
    """
    for path in log_folder().glob(f"{glob.escape(machine_name)}.log*"):
        with suppress(OSError):
            path.unlink()


def log_folder() -> Path:
    """Where libvirt has the logs of machines (libvirt, "QEMU/KVM/HVF hypervisor driver": log files)."""
    if not engine.is_session():
        return Path("/var/log/libvirt/qemu")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "libvirt/qemu/log"


def unplug(domain: Any) -> None:
    """Cuts a machine's power; one without power is fine."""
    with ignore_missing():
        if domain.isActive():
            domain.destroy()


def network(wire: Any) -> None:
    """Removes a network; one that no longer exists is fine."""
    with translate_errors(f"removing the network {wire.name()}"):
        with ignore_missing():
            if wire.isActive():
                wire.destroy()
        with ignore_missing():
            wire.undefine()
