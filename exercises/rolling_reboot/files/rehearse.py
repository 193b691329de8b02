#!/usr/bin/python3
"""Rehearses a health check that reboots nodes: runs it on a simulated node, in many situations.

    python3 rehearse.py SCRIPT [SITUATION...]     reports what the script did in each situation
    python3 rehearse.py --json SCRIPT             the same, for programs

It changes nothing: scontrol, sinfo, reboot and all other commands with an effect are stand-ins that answer
as Slurm 24.11 does and log how they were called. The time is simulated, too: sleep takes no real time.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
NODE = "n1"
NEW, OLD = "debian13-new", "debian13-old"
MOST_RUNS = 6
PATIENCE = 20.0  # real seconds for one run
STAND_INS = """
    scontrol sinfo squeue reboot shutdown poweroff halt init telinit systemctl sleep curl wget timeout
    hostname logger wall sudo systemd-run setsid nohup
"""


@dataclass(frozen=True)
class Situation:
    """The state of a node, what is wrong around it, and the required result."""

    name: str
    group: str
    story: str
    state: str
    reason: str = ""
    comment: str = ""
    knobs: tuple[str, ...] = ()
    reboots: tuple[int, int] = (0, 0)  # minimum and maximum
    resumed: bool = False  # whether the node is in service at the end


def situations() -> list[Situation]:
    """All situations, in their order."""
    table = tomllib.loads((HERE / "situations.toml").read_text(encoding="utf-8"))
    return [Situation(**{key: _frozen(value) for key, value in item.items()}) for item in table["situation"]]


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


@dataclass
class Played:
    """What happened in one situation."""

    reboots: int = 0
    resumed: bool = False
    killed: bool = False
    handed_over: bool = True  # in every run without a reboot, the other health checks ran
    printed: str = ""  # output of runs that had nothing to report
    log: list[str] = field(default_factory=list)


def play(script: Path, situation: Situation) -> Played:
    """Runs the script on a simulated node until nothing changes any more."""
    with tempfile.TemporaryDirectory(prefix="rehearse-") as name:
        world = Path(name)
        furnish(world, script, situation)
        played = Played()
        for _ in range(MOST_RUNS):
            before = [(world / part).read_text() for part in ("state", "reason", "boot_id")]
            run(world, situation, played)
            if before == [(world / part).read_text() for part in ("state", "reason", "boot_id")]:
                break
        state = (world / "state").read_text().strip().split("+")
        played.resumed = state[0] == "IDLE" and "DRAIN" not in state
        played.log = (world / "log").read_text().splitlines()
        played.reboots = played.log.count("reboot")
        return played


def furnish(world: Path, script: Path, situation: Situation) -> None:
    """Creates the files and the stand-ins of the simulation."""
    (world / "bin").mkdir()
    shutil.copyfile(HERE / "stand-in", world / "stand-in")
    (world / "stand-in").chmod(0o755)
    for name in STAND_INS.split():
        (world / "bin" / name).symlink_to("../stand-in")
    shutil.copyfile(script, world / "check")
    (world / "check").chmod(0o755)
    (world / "next").write_text(f"#!/bin/sh\necho next >>{world}/log\n")
    (world / "next").chmod(0o755)
    parts = {
        "state": situation.state,
        "reason": situation.reason,
        "comment": situation.comment,
        "release": OLD,
        "wanted": NEW,
        "boot_id": str(uuid.uuid4()),
        "boot_time": "2026-11-21T17:02:59",
        "spent": "0",
    }
    for name, value in parts.items():
        (world / name).write_text(f"{value}\n" if value else "")
    shutil.copyfile(HERE / "node.txt", world / "node.txt")
    (world / "log").write_text("")
    for knob in situation.knobs:
        (world / knob).touch()


def run(world: Path, situation: Situation, played: Played) -> None:
    """One run of the script by slurmd, and the reboot that it requested."""
    (world / "spent").write_text("0\n")
    begun = len((world / "log").read_text().splitlines())
    environ = {
        "PATH": f"{world}/bin:/usr/bin:/bin",
        "REHEARSAL": str(world),
        "SLURMD_NODENAME": NODE,
        "ROLLING_RELEASE": f"{world}/release",
        "ROLLING_WANTED": f"{world}/wanted",
        "ROLLING_BOOT_ID": f"{world}/boot_id",
        "ROLLING_METRICS": "http://192.0.2.1:8086/write",
        "ROLLING_NEXT": f"{world}/next",
        "TMPDIR": str(world),
        "LC_ALL": "C.UTF-8",
    }
    printed = ""
    with subprocess.Popen(
        [str(world / "check")],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environ,
        cwd=world,
        start_new_session=True,
    ) as process:
        try:
            printed = process.communicate(timeout=PATIENCE)[0].decode(errors="replace").strip()
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            printed = f"it did not end in {PATIENCE:.0f} real seconds"
            played.killed = True
    log = (world / "log").read_text().splitlines()[begun:]
    rebooted = "reboot" in log
    played.killed = played.killed or any(line.startswith("killed") for line in log)
    if not rebooted and "next" not in log:
        played.handed_over = False
    if not rebooted and "silent" not in situation.knobs and not any("update" in line for line in log):
        played.printed = played.printed or printed
    if (world / "rebooting").exists():
        (world / "rebooting").unlink()
        if "stuck" not in situation.knobs:
            boot(world, situation)


def boot(world: Path, situation: Situation) -> None:
    """The node boots again, with the image that its server provides."""
    (world / "boot_id").write_text(f"{uuid.uuid4()}\n")
    (world / "boot_time").write_text("2026-11-21T17:12:04\n")
    if "stale" not in situation.knobs:
        (world / "release").write_text(f"{NEW}\n")


def fault(situation: Situation, played: Played) -> str:
    """What was wrong, in a sentence; empty if nothing was."""
    least, most = situation.reboots
    unknown = [line[9:] for line in played.log if line.startswith("unknown: ")]
    changes = [line for line in played.log if line.startswith(("update ", "refused: "))]
    alone = not most and situation.group != "refused"  # the script should not have changed the node at all
    times = f" {played.reboots} times" if most else ""
    came_back = played.resumed and not situation.resumed and situation.state != "IDLE"
    quiet = situation.group == "others" and "silent" not in situation.knobs
    faults = (
        (unknown, f"the rehearsal does not support `{''.join(unknown[:1])}`; use another command"),
        (played.killed, "slurmd killed it after 60 s, before it ended"),
        (played.reboots > most, f"it rebooted the node{times}"),
        (played.reboots < least, "it did not reboot the node"),
        (came_back, "it returned the node to service"),
        (situation.resumed and not played.resumed, "it did not return the node to service"),
        (alone and changes, f"it changed the node: {''.join(changes[:1])}"),
        (not played.handed_over, "it did not run the other health checks"),
        (quiet and played.printed, f"it printed: {played.printed.rpartition('/')[2]}"),
    )
    return next((words for wrong, words in faults if wrong), "")


def main() -> int:
    """Runs the situations and reports; returns 1 if the script failed in one."""
    parser = argparse.ArgumentParser(description="Rehearses a health check that reboots nodes.")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--group", action="append", help="only the situations of this group; may be repeated")
    parser.add_argument("script", type=Path)
    parser.add_argument("situations", nargs="*", metavar="SITUATION")
    options = parser.parse_args()
    known = situations()
    names = [situation.name for situation in known]
    if wrong := [name for name in options.situations if name not in names]:
        parser.error(f"no situation {wrong[0]}; the situations are: {', '.join(names)}")
    if not options.script.is_file():
        parser.error(f"no such file: {options.script}")
    faults = []
    told = []
    for situation in known:
        if options.group and situation.group not in options.group:
            continue
        if options.situations and situation.name not in options.situations:
            continue
        played = play(options.script, situation)
        faults.append(fault(situation, played))
        told.append({"name": situation.name, "story": situation.story, "fault": faults[-1]})
        if not options.json:
            tell(situation, faults[-1], played.log if options.situations else [])
    if options.json:
        json.dump(told, sys.stdout)
    return int(any(faults))


def tell(situation: Situation, wrong: str, log: list[str]) -> None:
    """Prints the result of one situation."""
    print(f"{'WRONG' if wrong else 'good '}  {situation.name}: {situation.story}")
    if wrong:
        print(f"       {wrong}")
    for line in log:
        print(f"         {line}")


if __name__ == "__main__":
    sys.exit(main())
