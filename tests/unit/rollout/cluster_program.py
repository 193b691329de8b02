"""The simulated cluster behind programs called scontrol, scancel and ask, for tests of the whole command.

The world lies in a file; each look of scontrol at all nodes lets it go on by a tick.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import pickle
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from lab.rollout.planning.actions import Look
from lab.rollout.planning.nodes import Node
from tests.unit.rollout.simulated import World

ROOT = Path(__file__).resolve().parents[3]
NAMES = ("scontrol", "scancel", "ask")
PROGRAM = """\
#!{python} -IS
import sys
sys.path.insert(0, {root!r})
from tests.unit.rollout.cluster_program import main
sys.exit(main(sys.argv, {world!r}))
"""
AWAY = "slurm_load_node: Unable to contact slurm controller (connect failure)"


def install(folder: Path, world: World) -> Path:
    """Makes the programs, and keeps the world beside them; returns its file."""
    folder.mkdir()
    file = folder / "world"
    file.write_bytes(pickle.dumps(world))
    for name in NAMES:
        text = PROGRAM.format(python=sys.executable, root=str(ROOT), world=str(file))
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).chmod(0o755)
    return file


@contextlib.contextmanager
def opened(file: Path) -> Iterator[World]:
    """The world, to look at and to change."""
    with file.open("r+b") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        world = pickle.loads(stream.read())  # noqa: S301 - written above
        yield world
        stream.seek(0)
        stream.truncate()
        stream.write(pickle.dumps(world))


def main(words: Sequence[str], file: str) -> int:
    """Does what the program of this name does, to the world in a file."""
    with opened(Path(file)) as world:
        return perform(words, world)


def perform(words: Sequence[str], world: World) -> int:
    """Does what the program of this name does."""
    words = list(words)
    if Path(words[0]).name == "ask":
        return ask(world, words[1])
    if words[1:3] == ["show", "nodes"]:
        world.tick()
    if words[1:3] == ["show", "hostnames"]:
        print("\n".join(expanded(words[3])))
        return 0
    if world.away:
        print(AWAY, file=sys.stderr)
        return 1
    return show(world, words[2:]) if words[1] == "show" else change(world, words[1:])


def ask(world: World, name: str) -> int:
    """A node's answer to the probe."""
    probe = world.do(Look(name))
    assert probe is not None
    if probe.error:
        print("ssh: connect to host: No route to host", file=sys.stderr)
        return 255
    number = int(probe.boot_id.partition("-")[2])
    print(f"Welcome to {name}\nboot {number:08x}-0000-4000-8000-000000000000")
    print(f"image role=compute\nimage {probe.image[0]}\nsays {probe.says}\nhealth {probe.health}")
    return 0


def show(world: World, words: Sequence[str]) -> int:
    """What `scontrol show` prints."""
    if words[0] in ("nodes", "node"):
        nodes = (world.look() or {}).values()
        print(json.dumps({"nodes": [entry(node) for node in nodes], "errors": []}))
    elif words[0] == "config":
        print("Configuration data\nRebootProgram           = /sbin/shutdown -r now\nResumeTimeout = 300 sec")
    elif words[0] == "topology":
        print(
            "SwitchName=s0 Level=0 LinkSpeed=1 Nodes=n[0-1]\nSwitchName=s1 Level=0 LinkSpeed=1 Nodes=n[2-3]"
        )
    return 0


def entry(node: Node) -> dict[str, object]:
    """A node as 24.11 writes it, with a comment that would confuse who reads text."""
    return {
        "name": node.name,
        "state": sorted(node.states),
        "reason": node.reason,
        "comment": "State=IDLE+DRAIN Reason=rollout:20260101-000000-0000",
        "alloc_cpus": int(node.busy),
        "boot_time": {"set": True, "infinite": False, "number": 1_700_000_000},
        "partitions": list(node.partitions),
    }


def change(world: World, words: Sequence[str]) -> int:
    """What other words of scontrol, and scancel, do."""
    if words[0] == "reboot":
        world.reboot(words[3])
    elif words[0] == "cancel_reboot":
        world.cancel(words[1])
    elif words[0].startswith("--nodelist="):
        world.kill_jobs(words[0].partition("=")[2])
    else:
        update(world, words[1].partition("=")[2], words[2], "".join(words[3:]).partition("=")[2])
    return 0


def update(world: World, name: str, state: str, reason: str) -> None:
    """What `scontrol update` does to a node."""
    if state == "State=DRAIN":
        world.update_drain(name, reason)
    elif state == "State=UNDRAIN":
        world.undrain(name)
    else:
        world.resume(name)


def expanded(hosts: str) -> list[str]:
    """A hostlist of one range."""
    found = re.fullmatch(r"([a-z]+)\[(\d+)-(\d+)\]", hosts)
    if found is None:
        return hosts.split(",")
    return [f"{found[1]}{number}" for number in range(int(found[2]), int(found[3]) + 1)]
