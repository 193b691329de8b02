"""The provisioning half of the exercises against the real wwsh on a temporary root; no engine is needed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from lab.checks.api import Outcome, Verdict
from lab.checks.runner import Runner
from lab.course.catalog import load
from lab.course.lint import Wrong, wrongs
from lab.course.script import Block, Expect, Typed
from lab.course.variables import fill_shell, fill_text
from lab.paths import data_folder
from tests.exercises.labs import scripts
from tests.unit.checks_world import Said, World
from tests.unit.exercises.test_login import TWO_LINES, with_option_two
from tests.unit.warewulf_root import Programs

CATALOG = load(data_folder("exercises"))
KERNEL = "6.12.0"
CHROOT = "opt/ohpc/admin/images/debian13"
HANDOUT = """\
file import /etc/passwd
file import /etc/group
file import /etc/shadow
file import /etc/munge/munge.key
file import /etc/network.tmpl --name network --path /etc/network/interfaces.d/eth0
node new c1 --netdev eth0 --ipaddr=172.16.1.1 --hwaddr=52:54:00:00:01:01
provision set c1 --vnfs=debian13 --bootstrap=6.12.0
"""


class Sms:
    """The SMS's provisioning on a folder, and a shell that knows its programs."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self._fill()
        others = {"sudo": 'exec "$@"', "uname": f"echo {KERNEL}"}
        self._programs = Programs(folder / "bin", self.root, others)
        self.type("wwinit database")
        self.type(f"wwbootstrap {KERNEL}")
        self.type(f"wwvnfs --chroot=/{CHROOT}")
        self.type("wwsh", HANDOUT)

    def _fill(self) -> None:
        files = {
            "etc/warewulf/provision.conf": (
                "network device = eth1\nip address = 172.16.0.1\nip netmask = 255.255.0.0\n"
            ),
            "etc/hosts": "127.0.0.1 localhost\n172.16.0.1 sms\n",
            f"boot/vmlinuz-{KERNEL}": "kernel",
            f"lib/modules/{KERNEL}/modules.dep": "",
            "usr/lib/rackling/initramfs/init": "#!/bin/sh\n",
            f"{CHROOT}/sbin/init": "",
            **{
                f"etc/{name}": name
                for name in ("passwd", "group", "shadow", "munge/munge.key", "network.tmpl")
            },
        }
        for name, text in files.items():
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_text(text)

    def type(self, command: str, stdin: str = "") -> Said:
        """Runs a command as on the SMS; what `cat` reads lies under our root."""
        placed = re.sub(r"^cat /", f"cat {self.root}/", command)
        return Said(*self._programs.type(placed, stdin))

    def solve(self, world: World, blocks: Iterable[Block]) -> None:
        """Types what scripts type for Warewulf."""
        for block in blocks:
            for action in block.actions:
                if isinstance(action, Typed) and "wwsh" in action.text and block.node == "sms":
                    said = self.type(fill_shell(action.text, world.spec))
                    assert said.exit_status == 0 or action.expect is not Expect.SUCCESS, said.output


@pytest.fixture
def sms(tmp_path: Path) -> Sms:
    return Sms(tmp_path)


def over(world: World, sms: Sms) -> World:
    """A scripted world whose SMS does its provisioning for real."""
    for pattern in ("^wwsh ", "^cat /etc/warewulf", "^cat /srv/warewulf"):
        world.does("sms", pattern, lambda command, _timeout: sms.type(command))
    return world


def judge(name: str, world: World) -> dict[str, Verdict]:
    runner = Runner(CATALOG.get(name).checks(), world.room(), patience=0.001, pause=0.001, grace=60)
    return {verdict.check: verdict for verdict in runner.run()}


def login_world(sms: Sms) -> World:
    """The login node cannot be reached, since it booted with another address; the DHCP server runs."""
    world = World()
    world.says("sms", "systemctl show dnsmasq", "Id=dnsmasq.service\nActiveState=active\n")
    world.says("sms", "ssh .*login", "ssh: connect to host login port 22: No route to host", 255)
    world.says(
        "login", "^ip -c=never -4", "2: eth0    inet 172.16.0.20/16 brd 172.16.255.255 scope global eth0\n"
    )
    world.says("login", "^systemctl is-system-running", "running\n")
    return over(world, sms)


def by(found: dict[str, Verdict], outcome: Outcome) -> set[str]:
    return {name for name, verdict in found.items() if verdict.outcome is outcome}


def test_the_handed_out_database_fails_for_one_reason(sms: Sms) -> None:
    found = judge("login_node", login_world(sms))
    assert by(found, Outcome.FAILED) == {"node_is_known"}
    assert found["node_is_known"].actual == "c1"
    assert by(found, Outcome.PASSED) == by(found, Outcome.BROKEN) == set()


def test_the_solutions_commands_solve_the_first_two_steps(sms: Sms) -> None:
    world = login_world(sms)
    exercise = CATALOG.get("login_node")
    sms.solve(world, exercise.solution())
    found = judge("login_node", world)
    assert by(found, Outcome.PASSED) == {
        c.name for c in exercise.checks() if c.step in ("register", "assign")
    }
    assert by(found, Outcome.FAILED) == {"login_answers"}


@pytest.mark.parametrize("wrong", wrongs(CATALOG.get("login_node").folder, []), ids=lambda w: w.script.stem)
def test_a_wrong_way_is_told_as_it_should(sms: Sms, wrong: Wrong) -> None:
    world = login_world(sms)
    for _, blocks in scripts(CATALOG.get("login_node"), wrong):
        sms.solve(world, blocks)
    found = judge("login_node", world)
    assert by(found, Outcome.FAILED) == set(wrong.fails)
    for name in wrong.fails:
        verdict = found[name]
        message = f"{verdict.expected} {verdict.actual} {verdict.look} {verdict.hint}"
        assert all(fill_text(part, world.spec) in message for part in wrong.message), message


def test_a_mended_mac_is_taken(sms: Sms) -> None:
    world = login_world(sms)
    exercise = CATALOG.get("login_node")
    wrong = next(w for w in wrongs(exercise.folder, []) if w.script.stem == "misread_mac")
    sms.solve(world, wrong.blocks())
    mend = fill_shell("sudo wwsh -y node set login --netdev eth0 --hwaddr=$LOGIN_MAC", world.spec)
    assert sms.type(mend).exit_status == 0
    assert by(judge("login_node", world), Outcome.FAILED) == {"login_answers"}


def test_upper_case_in_the_mac_is_no_mistake(sms: Sms) -> None:
    world = login_world(sms)
    mac = world.spec.node("login").mac.upper()
    sms.type(f"wwsh -y node new login --netdev eth0 --ipaddr=172.16.0.2 --hwaddr={mac}")
    assert judge("login_node", world)["dhcp_will_answer"].outcome is Outcome.PASSED


@pytest.mark.parametrize(
    ("options", "outcome"),
    [("--name=slurm.conf.login --path=/etc/slurm/slurm.conf", Outcome.PASSED), ("--name=x", Outcome.FAILED)],
)
def test_the_kept_file_is_found_by_its_path(sms: Sms, options: str, outcome: Outcome) -> None:
    world = over(with_option_two(), sms)
    kept = sms.root / "etc/slurm/slurm.conf.login"
    kept.parent.mkdir()
    kept.write_text(TWO_LINES)
    assert sms.type(f"wwsh -y file import /etc/slurm/slurm.conf.login {options}").exit_status == 0
    found = judge("login_client", world)
    assert found["warewulf_has_the_file"].outcome is outcome
    if outcome is Outcome.PASSED:
        assert found["kept_file_says_the_same"].outcome is Outcome.PASSED
    else:
        assert "x: /etc/slurm/slurm.conf.login" in found["warewulf_has_the_file"].actual
