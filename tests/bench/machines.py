"""What is measured of labs of virtual machines: one function a subject, in the order they are run."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from lab.backends.libvirt import engine, inspection
from lab.backends.libvirt.checkpoint_cache import CheckpointCache
from lab.backends.libvirt.storage import DiskStore
from lab.config.loader import load
from tests.bench.bed import Bed, BenchError
from tests.bench.figures import Figure
from tests.bench.subjects import Subject

SMS_SECONDS = 600
LOOK_SECONDS = 1.5  # looking more often would itself slow an emulated processor
CLUSTER, BESIDE = ("sms", "login", "c1", "c2", "g1", "g2"), ("outside", "client")


def cold(bed: Bed) -> list[Figure]:
    """From nothing running to the lab as it is handed out, its first state kept, by booting every machine."""

    def once() -> float:
        bed.run("down", "-y")
        spec = load(None, (), {"LAB_BACKEND": "libvirt"}, bed.lab)
        CheckpointCache(engine.connect(), spec, DiskStore(), kvm=inspection.kvm_verdict()[0]).forget()
        return bed.timed("up")

    what = "nothing running → SMS up, four nodes idle, login looping; booted, and kept for later labs"
    return [Figure(what, "s", 120, bed.several("cold", once))]


def up(bed: Bed) -> list[Figure]:
    """The same, put together from a lab that was booted before; leaves it up."""

    def once() -> float:
        bed.run("down", "-y")
        return bed.timed("up")

    return [Figure("the same, from the cached checkpoint", "s", 15, bed.several("up", once))]


def memory(bed: Bed) -> list[Figure]:
    """Memory that the machines' processes hold, as they are handed out: the cluster's six, and all."""
    six, two = resident(bed.lab, CLUSTER), resident(bed.lab, BESIDE)
    return [
        Figure("memory of the cluster's six machines", "GB", 2.6, (six,)),
        Figure("memory of all eight", "GB", None, (six + two,)),
    ]


def node(bed: Bed) -> list[Figure]:
    """A compute node, from power off to idle in Slurm."""
    values = bed.several("reset c1", lambda: bed.timed("reset", "c1", "-y"))
    return [Figure("`lab reset c1`: one node, until it is idle again", "s", 25, values)]


def whole(bed: Bed) -> list[Figure]:
    """The lab back to where it was handed out: every machine's memory restored."""
    bed.run("start", "login_node", "-y")
    values = bed.several("reset", lambda: bed.timed("reset", "-y"))
    return [Figure("`lab reset`: the whole lab, until it is as at first", "s", 8, values)]


def sms(bed: Bed) -> list[Figure]:
    """The head node, from power on until its slurmctld answers."""

    def once() -> float:
        bed.run("power", "off", "sms", "--hard")
        start = time.monotonic()
        bed.run("power", "on", "sms")
        while time.monotonic() < start + SMS_SECONDS:
            if "is UP" in bed.run(
                "shell", "sms", "-u", "root", "--", "scontrol", "ping", statuses=range(256)
            ):
                return time.monotonic() - start
            time.sleep(LOOK_SECONDS)
        raise BenchError(f"slurmctld did not answer within {SMS_SECONDS} s")

    return [Figure("SMS: power on → slurmctld answers", "s", None, bed.several("sms", once))]


def resident(lab: str, nodes: Sequence[str]) -> float:
    """GB of memory that the processes of a lab's machines hold, shared pages counted in each."""
    kib = 0
    for node in nodes:
        pattern = f"qemu-system.*/labs/{lab}/{node}[.-]"
        found = subprocess.run(["pgrep", "-f", pattern], capture_output=True, text=True, check=False)
        if not found.stdout:
            raise BenchError(f"no process of {node} in the lab {lab}")
        lines = Path(f"/proc/{found.stdout.split()[0]}/status").read_text(encoding="utf-8").splitlines()
        kib += next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
    return kib * 1024 / 1e9


SUBJECTS: tuple[Subject, ...] = (cold, up, memory, node, whole, sms)
