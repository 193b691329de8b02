"""Wires without root: libvirt's bridges are not to be had then, so a lab brings a switch of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
from functools import partial
from pathlib import Path

from lab.backends.libvirt import engine, socket_names
from lab.backends.libvirt.programs import ethernet_switch
from lab.backends.libvirt.storage import LabFolder
from lab.errors import LabError
from lab.host_speed import measured_limit
from lab.model import ClusterSpec
from lab.polling import wait_for
from lab.process import run

START_SECONDS = 20
STOP_SECONDS = 10.0


def start_switch(folder: LabFolder, spec: ClusterSpec) -> None:
    """Sees to a switch for the lab's networks; one that runs learns which cards there are."""
    _list_cards(folder, spec)
    if runs(folder.path):
        return
    names = [network.name for network in spec.networks]
    run(
        [sys.executable, "-I", "-S", ethernet_switch.__file__, str(folder.path), *names],
        timeout=measured_limit(START_SECONDS),
    )


def _list_cards(folder: LabFolder, spec: ClusterSpec) -> None:
    """Writes which address is whose, as nothing that a machine sends says it."""
    lines = [
        f"{folder.wire(node.name, card.network).name} {card.mac.replace(':', '')}\n"
        for node in spec.nodes
        for card in node.interfaces
    ]
    fresh = folder.path / f"{socket_names.CARDS}.new"
    folder.note(fresh, "".join(lines))
    fresh.replace(folder.path / socket_names.CARDS)


def is_missing(folder: LabFolder) -> bool:
    """Whether a lab's machines stand without network, as the switch that they need is gone."""
    return engine.is_session() and not runs(folder.path)


def stop_switch(folder: LabFolder) -> None:
    """Ends the lab's switch, if there is one; while it is starting it has not written its number yet."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if wait_for(partial(_ended, folder.path, number), measured_limit(STOP_SECONDS)):
            return
    file = folder.path / socket_names.PID
    raise LabError(
        "the lab's switch does not end",
        evidence=f"{file} names its process",
        hint=f'kill -KILL "$(cat {file})", then repeat the command',
    )


def _ended(folder: Path, number: signal.Signals) -> bool:
    if not runs(folder):
        return True
    with contextlib.suppress(OSError, ValueError):
        os.kill(int((folder / socket_names.PID).read_text()), number)
    return False


def runs(folder: Path) -> bool:
    """Whether a lab has a switch: somebody listens at its sockets."""
    return any(_is_heard(path) for path in folder.glob(socket_names.SWITCH.format(network="*")))


def _is_heard(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line, contextlib.suppress(OSError):
        line.connect(str(path))
        return True
    return False
