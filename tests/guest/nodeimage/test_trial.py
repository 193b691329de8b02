"""`nodeimage try`: a node boots what its entry names; what is said of one that does not come up well."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab.guest.nodeimage import boot, trial
from tests.guest.conftest import ROOT
from tests.guest.nodeimage.bed import command
from tests.guest.nodeimage.head import MACS, Head

SSH = """#!{python}
import json, os, re, signal, sys
sys.path.insert(0, {project!r})
from lab.guest.nodeimage import content
*options, node, script = sys.argv[1:]
state = json.load(open({state!r}))
if not state["answers"]:
    sys.exit(255)
if "reboot" in script:
    state["reboots"] += 1
    entry = open({entry!r}).read()
    served = re.search("/nodeimage/(compute/.*)/image", entry)[1]
    if state["boots"]:
        place = os.path.join({served!r}, state["boots_instead"] or served)
        manifest = json.load(open(os.path.join(place, "manifest.json")))
        state["stamp"], state["boot"] = content.stamp(manifest).decode(), f"boot-{{state['reboots']}}"
    if state["kills"]:
        os.kill(os.getppid(), signal.SIGTERM)
    json.dump(state, open({state!r}, "w"))
else:
    print("boot", state["boot"])
    print("state", state["state"])
    for unit in state["failed"]:
        print("failed", unit)
    for line in state["stamp"].splitlines():
        print("stamp", line)
"""
STATE = {
    "answers": True, "boots": True, "boots_instead": "", "kills": False, "reboots": 0, "boot": "boot-0",
    "state": "running", "failed": [], "stamp": "IMAGE_COMMIT=older\n",
}  # fmt: skip


@dataclass(frozen=True)
class Scene:
    """A head node whose node c1 boots what the entry of its card names, when ssh tells it to."""

    head: Head
    state: Path

    def node(self, **values: object) -> None:
        """Changes how the node behaves."""
        self.state.write_text(json.dumps({**self.now(), **values}))

    def now(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.state.read_text())
        return found

    def entry(self) -> str:
        path = self.head.bed.root / "served/.boot" / MACS["c1"]
        return path.read_text() if path.exists() else ""

    def told(self) -> str:
        """What Warewulf's DHCP says of boot files."""
        options = self.head.sms.read("/etc/warewulf/dnsmasq.options").splitlines()
        return "\n".join(line for line in options if "bootfile-name" in line)


@pytest.fixture
def scene(head: Head, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """Release one is there."""
    found = Scene(head, head.bed.root / "node.json")
    found.state.write_text(json.dumps(STATE))
    served = head.bed.places.releases
    text = SSH.format(
        python=sys.executable, project=str(ROOT), state=str(found.state), served=served,
        entry=f"{served}/.boot/{MACS['c1']}",
    )  # fmt: skip
    head.program(head.bed.root / "programs/ssh", text)
    monkeypatch.setattr(trial, "PAUSE", 0.01)
    head.release("one")
    return found


def tried(scene: Scene, *words: str) -> dict[str, Any]:
    return scene.head.bed.must("try", "compute", "one", "c1", *words)


def test_a_node_boots_the_release_and_then_again_what_it_booted_before(scene: Scene) -> None:
    done = tried(scene)
    assert (done["release"], done["node"], scene.now()["reboots"]) == ("one", "c1", 1)
    assert "IMAGE_COMMIT=older" not in scene.now()["stamp"]
    assert (scene.entry(), scene.told()) == ("", "")
    assert "booted         on c1 within " in scene.head.bed.run("show", "compute", "one").out


@pytest.mark.parametrize("loader", boot.LOADERS)
def test_an_entry_that_was_there_is_put_back(scene: Scene, loader: str) -> None:
    for candidates in boot.PARTS.values():
        scene.head.sms.write(candidates[0], "program")
    scene.head.bed.must("boot", "compute", "c1", "--loader", loader)
    before = scene.entry(), scene.told()
    tried(scene)
    assert (scene.entry(), scene.told()) == before
    assert "compute/current/image" in before[0]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"state": "degraded", "failed": ["munge.service loaded failed"]}, "  munge.service loaded failed\n"),
        ({"state": "maintenance"}, "is maintenance"),
        ({"state": "starting"}, "is not up after 1 s\n  it is starting\n"),
        ({"state": ""}, "  it is in an unknown state\n"),
        ({"boots": False}, "  it has not rebooted\n"),
        ({"answers": False}, "  it does not answer by ssh\n"),
    ],
)
def test_a_node_that_does_not_come_up_well_is_an_error(
    scene: Scene, values: dict[str, object], said: str
) -> None:
    scene.node(**values)
    assert said in scene.head.bed.refuses(22, "try", "compute", "one", "c1", "--seconds", "1")
    assert (scene.entry(), scene.told()) == ("", "")
    assert "booted         not by" in scene.head.bed.run("show", "compute", "one").out


def test_a_node_that_boots_something_else_is_told(scene: Scene) -> None:
    scene.head.bed.commit()
    scene.head.release("two")
    scene.node(boots_instead="compute/two")
    told = scene.head.bed.refuses(22, "try", "compute", "one", "c1")
    assert "c1 was to boot compute one, and has booted another image" in told
    assert "  expected: IMAGE_COMMIT=" in told


def test_a_tree_without_systemd_is_up_when_it_answers(scene: Scene) -> None:
    scene.node(state="none")
    tried(scene)


def test_a_release_that_changed_is_not_tried(scene: Scene) -> None:
    (scene.head.bed.release("one") / "kernel").write_bytes(b"other")
    scene.head.bed.refuses(18, "try", "compute", "one", "c1")
    assert scene.now()["reboots"] == 0


def test_a_record_is_that_of_the_image(scene: Scene) -> None:
    tried(scene)
    place = Path(scene.head.bed.places.role("compute", trial.RECORD))
    record = json.loads(place.read_text())
    record["one"]["image"] = "0" * 64
    place.write_text(json.dumps(record))
    assert "booted         not by" in scene.head.bed.run("show", "compute", "one").out


def test_a_node_with_jobs_and_several_nodes_are_refused(scene: Scene) -> None:
    assert "on one node, not on c1 c2" in scene.head.bed.refuses(2, "try", "compute", "one", "c*")
    scene.head.program(scene.head.bed.root / "programs/squeue", "#!/bin/sh\necho 17; echo 18_4\n")
    refused = scene.head.bed.refuses(1, "try", "compute", "one", "c1")
    assert "jobs run on c1: 17 18_4" in refused
    assert (scene.now()["reboots"], scene.entry()) == (0, "")


def test_a_kill_puts_the_entry_back(scene: Scene) -> None:
    scene.node(kills=True, boots=False)
    words = scene.head.bed.words("try", "compute", "one", "c1", "--signers", str(scene.head.bed.signers))
    environment = {
        **scene.head.bed.environment(),
        "PATH": os.environ["PATH"],
        "RACKLING_ROOT": scene.head.bed.head,
    }
    program = command(words)
    program[2] = f"import os; os.geteuid = lambda: 0; {program[2]}"
    done = subprocess.run(program, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 130, done.stderr
    assert scene.now()["reboots"] == 1
    assert (scene.entry(), scene.told()) == ("", "")
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
