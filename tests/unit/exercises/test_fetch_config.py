"""The checks of the exercise fetch_config against scripted machines: right, wrong, and other right ways."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from lab.checks.api import Outcome, Verdict
from lab.checks.runner import Runner
from lab.course.catalog import load
from lab.model import Interface, Node, Role, Tag
from lab.paths import data_folder
from lab.siphon.errors import AUTH, CONNECT, CREDENTIAL, PERMISSION, UNSAFE
from tests.unit.checks_world import World, small_spec

EXERCISE = load(data_folder("exercises")).get("fetch_config")
CARD = Interface("eth0", "internal", "52:54:00:00:00:64", IPv4Address("172.16.0.100"))
CLIENT = Node("client", Role.CLIENT, Tag.CPU, 1, 256, 0, 0, (CARD,))
ANSWERS = """\
# no token at all
no-token = 22
expired=14
  changed = 14
slurmd-set = 15

nobody-there = 10
unsafe-name = 19
"""


def solved() -> World:
    """Everything is as it should be."""
    spec = small_spec()
    world = World(spec=replace(spec, nodes=(*spec.nodes, CLIENT)))
    world.says("sms", "^stat .*slurm.jwt", "-rw------- user1\n")
    world.says("client", "^sha256sum", "abc  -\n").says(
        "sms", "^cat /etc/slurm/slurm.conf", "Prolog=prolog.sh\n"
    )
    world.says("sms", "^sinfo", "normal*|up|1-00:00:00|2|c[1-2]\n")
    world.says("sms", "^cat .*from_client.out", "submitted on client, ran on c2\n")
    world.says("sms", "^cat .*refusals.txt", ANSWERS)
    world.says("sms", "^scontrol show config", "Prolog[0]               = /etc/slurm/prolog.sh\n")
    world.says("client", "^siphon --token-file", "")
    sent = '{"files": [{"name": "gres.conf", "sha256": "def"}, {"name": "slurm.conf", "sha256": "abc"}]}'
    world.says("client", "^siphon --token-file .* --json", sent)
    world.says("client", "^ls /etc/munge", "ls: cannot access '/etc/munge/munge.key': No such file\n", 2)
    world.says("client", "sinfo -h", "normal*\n")
    return world


def failing(world: World) -> dict[str, Verdict]:
    runner = Runner(EXERCISE.checks(), world.room(), patience=0.001, pause=0.001, grace=30)
    found = {verdict.check: verdict for verdict in runner.run()}
    assert not [v for v in found.values() if v.outcome is Outcome.BROKEN], found
    return {name: verdict for name, verdict in found.items() if verdict.outcome is Outcome.FAILED}


def test_all_pass_when_solved() -> None:
    assert failing(solved()) == {}


def test_the_answers_are_siphons_own() -> None:
    """Read from siphon, so that neither can change without the other."""
    kinds = (CREDENTIAL, AUTH, AUTH, PERMISSION, CONNECT, UNSAFE)
    given = [line.partition("=")[2].strip() for line in ANSWERS.splitlines() if "=" in line]
    assert given == [str(kind.status) for kind in kinds]


@pytest.mark.parametrize(
    ("stat", "told"),
    [("-rw-r--r-- user1", "-rw-r--r-- user1"), ("-rw------- root", "-rw------- root")],
)
def test_a_token_that_others_can_read_is_told(stat: str, told: str) -> None:
    found = failing(solved().says("sms", "^stat .*slurm.jwt", f"{stat}\n"))
    assert found["the_token_is_a_secret"].actual == told


def test_a_token_that_has_ended_is_told_in_siphons_words() -> None:
    world = solved().says("client", "^siphon --token-file", "error: the token expired 9 s ago\n", 14)
    assert "expired 9 s ago" in failing(world)["the_token_is_a_secret"].actual


def test_a_stale_copy_and_none_differ() -> None:
    found = failing(solved().says("client", "^sha256sum", "def  -\n"))
    assert found["the_copy_is_the_controllers"].actual == "different content"
    found = failing(solved().says("client", "^sha256sum", "No such file\n", 1))
    assert found["the_copy_is_the_controllers"].actual == "no such file"


def test_a_key_on_the_client_is_found() -> None:
    world = solved().says("client", "^ls /etc/munge", "ls: cannot access 'x'\n/etc/munge/munge.key\n", 2)
    assert failing(world)["the_client_has_no_key"].actual == "/etc/munge/munge.key"


@pytest.mark.parametrize("text", ["ran on c1", "submitted on sms, ran on c1", "submitted on client, ran on"])
def test_a_job_from_elsewhere_does_not_count(text: str) -> None:
    found = failing(solved().says("sms", "^cat .*from_client.out", f"{text}\n"))
    assert found["a_job_came_from_the_client"].actual == text


def test_wrong_and_missing_answers_are_named_and_the_truth_is_not() -> None:
    text = ANSWERS.replace("no-token = 22", "no-token = 1").replace("unsafe-name = 19", "unsafe-name =")
    verdict = failing(solved().says("sms", "^cat .*refusals.txt", text))["each_refusal_has_its_status"]
    assert verdict.actual == "wrong: no-token; missing: unsafe-name"
    assert "22" not in verdict.expected + verdict.actual + verdict.hint


@pytest.mark.parametrize(
    ("running", "written", "told"),
    [
        ("../up.sh", "../up.sh", "Remove the line"),
        ("../up.sh", "", "has not read it: `sudo scontrol reconfigure`"),
        ("", "../up.sh", "reads slurm.conf when it starts again"),
    ],
    ids=["left", "not reconfigured", "never read"],
)
def test_a_name_that_leads_outside_is_found(running: str, written: str, told: str) -> None:
    world = solved().says("sms", "^scontrol show config", f"Prolog[0]               = {running}\n")
    world.says("sms", "^cat /etc/slurm/slurm.conf", f"Prolog={written}\n")
    found = failing(world)["the_controller_sends_good_names"]
    assert "../up.sh" in found.actual
    assert told in found.hint


def test_the_copy_is_compared_with_what_the_controller_sends_not_with_a_file_it_has_not_read() -> None:
    assert failing(solved().says("sms", "^cat /etc/slurm/slurm.conf", "# edited\n")) == {}
