"""The exercise rolling_reboot: whom its rehearsal lets pass, whom it does not, and the checks."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lab.checks.api import Outcome, Verdict
from lab.checks.runner import Runner
from lab.course.catalog import load
from lab.paths import data_folder
from tests.unit.checks_world import World
from tests.unit.exercises.test_disk import provision
from tests.unit.next_boot_world import with_image

EXERCISE = load(data_folder("exercises")).get("rolling_reboot")
FILES = EXERCISE.folder / "files"
OLD = FILES / "rolling-check"


def solution() -> str:
    """The script that the solution writes."""
    text = (EXERCISE.folder / "solution.sh").read_text()
    return text.partition("<<'END'\n")[2].partition("\nEND\n")[0] + "\n"


def faults(script: Path, *situations: str) -> dict[str, str]:
    """What the rehearsal found wrong, by situation; all of them when none is named."""
    command = [sys.executable, str(FILES / "rehearse.py"), "--json", str(script), *situations]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    told = json.loads(done.stdout)
    assert done.returncode == any(one["fault"] for one in told)
    return {one["name"]: one["fault"] for one in told if one["fault"]}


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """The solution's script, to be spoiled."""
    path = tmp_path / "check"
    path.write_text(solution())
    return path


def spoil(script: Path, old: str, new: str) -> Path:
    text = script.read_text()
    assert old in text
    script.write_text(text.replace(old, new))
    return script


def test_the_solution_stands_every_situation(script: Path) -> None:
    assert faults(script) == {}


def test_the_hints_end_with_the_solution() -> None:
    shown = re.sub(r"^ {4}", "", EXERCISE.hints()["harden"][-1], flags=re.MULTILINE)
    assert solution().strip() in shown


def test_the_old_script_fails_for_many_reasons() -> None:
    found = faults(OLD, "drained", "tonight", "forged", "healthy", "silent")
    assert found["drained"] == "it did not reboot the node"
    assert found["tonight"] == found["forged"] == "it rebooted the node"
    assert found["healthy"].startswith("it printed: ")
    assert found["silent"] == "it did not run the other health checks"


@pytest.mark.parametrize(
    ("old", "new", "situation", "fault"),
    [
        ("+idle+*) ;;", "+idle*) ;;", None, ""),
        ("*+completing+*) others ;; ", "", "completing", "it rebooted the node"),
        ("case +$state+ in *+drain+*) ;; *) others ;; esac\n", "", "in-service", "it rebooted the node"),
        ("|| others\n        event", "\n        event", "refused", "it rebooted the node"),
        ('cmp -s "$RELEASE" "$WANTED"', "true", "old-image", "it returned the node to service"),
        (" --max-time 5", "", "no-metrics", "slurmd killed it after 60 s, before it ended"),
        (" --max-time 5", " -m 90", "no-metrics", "slurmd killed it after 60 s"),
        ("curl -s --max-time 5", "timeout 5 curl -s", None, ""),
        ("StateComplete:200", "StateLong:200", "drained", "it did not reboot the node"),
        ("sinfo -h -n", "sinfo --json -n", "drained", "does not support `sinfo --json`"),
        ('update reason="rolling:rebooting', 'scontrol reboot "$NODE" #', "drained", "`scontrol reboot n1`"),
        ("        reboot\n", "        systemctl reboot\n", None, ""),
        ("        reboot\n", "        shutdown -r now\n", None, ""),
        ('        event "reboots', '        sleep 61; event "reboots', "drained", "slurmd killed it"),
        ('exec "$NEXT"', "exit", "healthy", "it did not run the other health checks"),
    ],
)
def test_a_spoiled_solution_is_found_out(
    script: Path, old: str, new: str, situation: str | None, fault: str
) -> None:
    found = faults(spoil(script, old, new), situation or "drained", "no-metrics")
    if situation is None:
        assert found == {}
    else:
        assert fault in found[situation], found


def test_one_situation_tells_what_was_asked(script: Path) -> None:
    command = [sys.executable, str(FILES / "rehearse.py"), str(script), "old-image"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert lines.count("reboot") == 1
    assert any(line.startswith("update nodename=n1 reason=rolling:failed") for line in lines)


def test_a_situation_that_is_none_is_named() -> None:
    command = [sys.executable, str(FILES / "rehearse.py"), str(OLD), "old-imge"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, "no situation old-imge; the situations are: drained" in done.stderr) == (2, True)


CONFIG = """\
HealthCheckInterval     = {} sec
HealthCheckProgram      = {}
SlurmctldLogFile        = /var/log/slurm/slurmctld.log
"""
NODES = "NodeName={} State=IDLE Reason= \n"
ROLLED = """\
[T] update_node: node {0} reason set to: rolling:reboot
[T] update_node: node {0} state set to DRAINED
[T] update_node: node {0} reason set to: rolling:rebooting 1-2
[T] update_node: node {0} state set to IDLE
"""

FAILED = "[T] update_node: node c2 reason set to: rolling:failed, it runs debian13-1\n"

WRITTEN = "HealthCheckInterval=10\nHealthCheckProgram=/opt/ohpc/pub/rolling/check\n"


def solved() -> World:
    """Everything is as it should be."""
    world = with_image(World(), {"etc/image-release": ("debian13-2\n", "debian13-2\n")})
    world.says("sms", "^cat /etc/slurm/slurm.conf", WRITTEN)
    world.says("sms", "^scontrol show config", CONFIG.format(10, "/opt/ohpc/pub/rolling/check"))
    world.says("sms", "^stat -c %A", "-rwxr-xr-x\n")
    world.says("sms", "rehearse.py --json", '[{"name": "drained", "story": "x", "fault": ""}]')
    world.says("sms", "^cat /opt/ohpc/pub/rolling/wanted", "debian13-2\n")
    world.says("sms", "^cat /opt/ohpc/admin/images", "debian13-2\n")
    world.says("sms", "scontrol -o show nodes", NODES.format("c1") + NODES.format("c2"))
    world.says("sms", "^grep -a", ROLLED.format("c1") + ROLLED.format("c2"))
    for node in ("c1", "c2"):
        world.says("sms", f"^wwsh provision print {node}", provision("", node))
        world.says(node, "^cat /etc/image-release", "debian13-2\n")
    return world


def verdicts(world: World) -> dict[str, Verdict]:
    runner = Runner(EXERCISE.checks(), world.room(), patience=0.001, pause=0.001, grace=30)
    return {verdict.check: verdict for verdict in runner.run()}


def failing(world: World) -> dict[str, Verdict]:
    found = verdicts(world)
    assert not [v for v in found.values() if v.outcome is Outcome.BROKEN], found
    return {name: verdict for name, verdict in found.items() if verdict.outcome is Outcome.FAILED}


def test_all_pass_when_solved() -> None:
    assert failing(solved()) == {}


def test_the_handout_fails_for_two_reasons() -> None:
    world = solved().says("sms", "^scontrol show config", CONFIG.format(300, "/usr/sbin/nhc"))
    world.says(
        "sms", "^cat /etc/slurm/slurm.conf", "HealthCheckInterval=300\nHealthCheckProgram=/usr/sbin/nhc\n"
    )
    world.says("sms", "^cat /opt/ohpc/pub/rolling/wanted", "cat: no such file", 1)
    found = failing(world)
    assert set(found) == {"slurmd_runs_the_shared_script", "a_new_image_is_wanted"}
    assert "/usr/sbin/nhc" in found["slurmd_runs_the_shared_script"].actual


@pytest.mark.parametrize(
    ("interval", "mode"), [("0", "-rwxr-xr-x"), ("300", "-rwxr-xr-x"), ("10", "-rw-r--r--")]
)
def test_a_script_that_does_not_run_is_told(interval: str, mode: str) -> None:
    world = solved().says(
        "sms", "^scontrol show config", CONFIG.format(interval, "/opt/ohpc/pub/rolling/check")
    )
    world.says("sms", "^stat -c %A", f"{mode}\n")
    assert set(failing(world)) == {"slurmd_runs_the_shared_script"}


def test_a_fault_of_the_rehearsal_is_the_message() -> None:
    told = '[{"name": "forged", "story": "a healthy node", "fault": "it rebooted the node"}]'
    world = solved().says("sms", "rehearse.py --json --group comments", told)
    verdict = failing(world)["it_is_not_fooled_by_comments"]
    assert "forged (a healthy node): it rebooted the node" in verdict.actual
    assert verdict.look.endswith("rehearse.py /opt/ohpc/pub/rolling/check forged")


def test_a_rehearsal_that_does_not_play_is_our_fault() -> None:
    world = solved().says("sms", "rehearse.py --json --group words", "python3: not found", 127)
    assert verdicts(world)["it_obeys_its_own_token_only"].outcome is Outcome.BROKEN


def test_an_unstamped_node_and_one_out_of_service_are_named() -> None:
    found = failing(solved().says("c2", "^cat /etc/image-release", "unstamped\n"))
    assert found["every_compute_node_runs_it"].actual == "c2: unstamped"
    drained = NODES.format("c1") + "NodeName=c2 State=IDLE+DRAIN Reason=rolling:failed [x@y]\n"
    found = failing(solved().says("sms", "scontrol -o show nodes", drained))
    assert found["every_compute_node_is_in_service"].actual == "c2: IDLE+DRAIN"


@pytest.mark.parametrize(
    ("log", "told"),
    [
        ("", "no rolling:reboot"),
        (ROLLED.format("c2").splitlines()[0], "no rolling:rebooting"),
        ("\n".join(ROLLED.format("c2").splitlines()[:3]), "no IDLE"),
        (ROLLED.format("c2") + ROLLED.format("c2").splitlines()[0], ""),
        (ROLLED.format("c2").replace("1-2\n", "1-2\n[T] update_node: node c2 reason set to: \n"), ""),
        (ROLLED.format("c2").replace("1-2\n", f"1-2\n{FAILED}"), "no rolling:reboot"),
        (ROLLED.format("c2").replace("1-2\n", f"1-2\n{FAILED}") + ROLLED.format("c2"), ""),
    ],
)
def test_the_log_must_tell_the_whole_story(log: str, told: str) -> None:
    found = failing(solved().says("sms", "^grep -a", ROLLED.format("c1") + log))
    assert (
        found.get("the_script_did_it", None) is None
        if not told
        else found["the_script_did_it"].actual == f"c2: {told}"
    )


def test_a_forged_comment_is_no_state() -> None:
    line = "NodeName=c1 State=ALLOCATED Comment=it had State=IDLE+DRAIN Reason=x\n"
    found = failing(solved().says("sms", "scontrol -o show nodes", line + NODES.format("c2")))
    assert found == {}


def test_the_check_brings_its_own_rehearsal(tmp_path: Path) -> None:
    """Whatever learners do to theirs."""
    world = solved()
    assert failing(world) == {}
    command = next(line for _, _, line in world.ran if "rehearse.py --json --group words" in line)
    text = re.search(r"echo (\S+) \| base64 -d \| tar -xz", command)
    assert text
    subprocess.run(
        ["/bin/sh", "-c", f"echo {text[1]} | base64 -d | tar -xz -C {tmp_path}"], check=True, timeout=20
    )
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in FILES.iterdir()}
    assert (tmp_path / "rehearse.py").read_bytes() == (FILES / "rehearse.py").read_bytes()
    assert (tmp_path / "stand-in").stat().st_mode & 0o111


@pytest.mark.parametrize("image", [None, "debian13-1\n"])
def test_nodes_that_were_stamped_by_hand_do_not_count(image: str | None) -> None:
    """They say what they should, and the next boot takes it from them."""
    found = failing(with_image(solved(), {"etc/image-release": (image, "debian13-2\n")}))
    assert set(found) == {"image_has_the_stamp"}
    assert "older than the chroot" in found["image_has_the_stamp"].actual


def test_settings_that_only_the_controller_has_do_not_count() -> None:
    found = failing(solved().says("sms", "^cat /etc/slurm/slurm.conf", "HealthCheckProgram=/usr/sbin/nhc\n"))
    assert set(found) == {"slurmd_runs_the_shared_script"}
    assert "slurm.conf" in found["slurmd_runs_the_shared_script"].actual
