"""What comes from outside: Slurm's output, a node's answer, an image's stamp, programs that misbehave."""

from __future__ import annotations

import json
import sys
import time

import pytest

from lab.rollout import probing, programs
from lab.rollout.errors import RolloutError, printable
from lab.rollout.planning import wanted
from lab.rollout.planning.nodes import Node
from lab.rollout.planning.policy import Amount, Window
from lab.rollout.programs import Finished
from lab.rollout.slurm import parse
from lab.rollout.slurm.commands import Slurm, SlurmError

BOOT = "3f2a9c1e-0b7d-4c55-9a10-5f6a7b8c9d0e"


def one(**fields: object) -> Node:
    entry = {"name": "c1", "state": ["IDLE"], "reason": "", "partitions": ["normal"], **fields}
    return parse.nodes(json.dumps({"nodes": [entry]}).encode())["c1"]


@pytest.mark.parametrize(
    ("state", "available"),
    [
        (["IDLE"], True),
        (["MIXED", "PLANNED"], True),
        (["ALLOCATED", "COMPLETING"], True),
        (["IDLE", "MAINTENANCE", "RESERVED"], True),
        (["IDLE", "DRAIN"], False),
        (["IDLE", "NOT_RESPONDING"], False),
        (["IDLE", "POWERED_DOWN"], False),
        (["IDLE", "REBOOT_REQUESTED"], False),
        (["DOWN", "DRAIN", "REBOOT_ISSUED"], False),
        (["IDLE", "INVALID_REG"], False),
        (["UNKNOWN"], False),
        ([], False),
    ],
)
def test_states_are_a_set_of_flags(state: list[str], available: bool) -> None:
    """Hazard N1: an exact string would miss what any further flag changes."""
    assert one(state=state).available is available


def test_no_comment_and_no_reason_passes_for_a_state() -> None:
    """Hazards N2 and N3: only our own token in the field for reasons is compared, with the whole word."""
    node = one(
        comment="State=IDLE+DRAIN Reason=reboot", extra='"state": ["DOWN"]', reason="x State=DOWN reboot"
    )
    assert node.available
    assert not node.reboot_pending


def test_states_of_older_releases_are_read_too() -> None:
    node = one(state="mixed", state_flags=["DRAIN", "REBOOT_REQUESTED"], alloc_cpus=3)
    assert node.states == {"MIXED", "DRAIN", "REBOOT_REQUESTED"}
    assert node.busy
    assert node.describe() == "MIXED+DRAIN+REBOOT_REQUESTED"


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{}",
        b'{"nodes": [{"name": 3, "state": []}]}',
        b'{"nodes": [{"state": ["IDLE"]}]}',
        b"[" * 9999,
    ],
)
def test_output_that_is_no_list_of_nodes_is_one_kind_of_error(text: bytes) -> None:
    with pytest.raises(parse.ParseError):
        parse.nodes(text)


def test_a_node_whose_name_could_be_an_option_is_not_taken() -> None:
    text = json.dumps(
        {"nodes": [{"name": name, "state": ["IDLE"]} for name in ("-oProxyCommand=x", "a b", "c1")]}
    )
    assert set(parse.nodes(text.encode())) == {"c1"}


def test_switches_and_reboot_program_are_read() -> None:
    text = (
        "SwitchName=s0 Level=0 LinkSpeed=1 Nodes=c[1-2]\n"
        "SwitchName=top Level=1 LinkSpeed=1 Nodes=c[1-4] Switches=s[0-1]"
    )
    assert parse.switches(text) == [("s0", "c[1-2]"), ("top", "c[1-4]")]
    assert (
        parse.reboot_program("X = 1\nRebootProgram           = /sbin/shutdown -r now\n")
        == "/sbin/shutdown -r now"
    )
    assert parse.reboot_program("RebootProgram           = (null)\n") == ""


def answer(text: str) -> Finished:
    return Finished(0, text.encode())


def test_an_answer_has_boot_id_image_and_health() -> None:
    probe = probing.parse(
        answer(f"Last login\nboot {BOOT}\nimage role=compute\nimage commit=abc\nsays ok\nhealth 0\n")
    )
    assert (probe.boot_id, probe.image, probe.health, probe.says) == (
        BOOT,
        ("role=compute", "commit=abc"),
        0,
        "ok",
    )


@pytest.mark.parametrize(
    ("done", "error"),
    [
        (
            Finished(255, err=b"ssh: connect to host c1 port 22: \x1b[31mNo route to host\n"),
            "No route to host",
        ),
        (Finished(-1, problem="no answer within 20 s"), "no answer within 20 s"),
        (answer("boot $(reboot)\nhealth 0\n"), "no boot id"),
        (answer(f"boot {BOOT}\nimage a=b\n"), "broke off"),
        (answer(f"boot {BOOT}\nhealth 0 or so\n"), "broke off"),
        (Finished(0, b"\xff" * 9000), "no boot id"),
    ],
)
def test_an_answer_that_says_too_little_is_no_answer(done: Finished, error: str) -> None:
    probe = probing.parse(done)
    assert probe.silent
    assert error in probe.error
    assert probe.error.isprintable()


def test_an_image_file_cannot_pass_for_a_health_check() -> None:
    """Each line of the file arrives with a word before it."""
    probe = probing.parse(answer(f"boot {BOOT}\nimage health 0\nimage boot {BOOT[::-1]}\nhealth 3\n"))
    assert (probe.health, probe.boot_id) == (3, BOOT)


def test_an_endless_answer_is_cut() -> None:
    lines = f"boot {BOOT}\n" + "image x=y\n" * 100_000 + "health 0\n"
    assert probing.parse(answer(lines)).error == "its answer broke off"


def test_the_script_does_what_is_parsed(tmp_path: object) -> None:
    """It runs on this machine, through a shell as ssh does."""
    done = programs.run(["/bin/sh", "-c", probing.script("echo it\\'s fine; exit 3", 5)], 10)
    probe = probing.parse(done)
    assert not probe.silent, done
    assert (probe.health, probe.says) == (3, "it's fine")
    hung = probing.parse(programs.run(["/bin/sh", "-c", probing.script("sleep 9", 1)], 8))
    assert hung.health == 124


def test_words_of_a_command_are_never_taken_apart() -> None:
    assert probing.command("ssh -o A=b {node} {script}", "c1", "echo 'a b'") == [
        "ssh", "-o", "A=b", "c1", "/bin/sh -c 'echo '\"'\"'a b'\"'\"''"
    ]  # fmt: skip
    assert probing.command("srun -w {node} {argv}", "c1", "x")[-3:] == ["/bin/sh", "-c", "x"]
    with pytest.raises(RolloutError, match="no name of a node"):
        probing.command("ssh {node} {script}", "-oProxyCommand=x", "x")


@pytest.mark.parametrize(
    ("items", "lines", "lacks"),
    [
        (["role=compute", "commit=4f1c2aa"], ["ROLE=compute", 'commit="4f1c2aa9d0"'], ""),
        (["commit=4f1c2a"], ["commit=4f1c2aa9d0"], "commit is 4f1c2aa9d0, not 4f1c2a"),
        (["commit=4f1c2aa"], ["commit=aa4f1c2"], "commit is aa4f1c2, not 4f1c2aa"),
        (["role=gpu"], ["role=compute"], "role is compute, not gpu"),
        (["ref=v1"], ["# ref=v1"], "does not have ref"),
        (["v1.2"], ["compute v1.2 4f1c2aa"], ""),
        (["v1"], ["compute v1.2"], "does not have the word v1"),
        (["a=b"], [], "there is no /etc/image-release"),
        (["a=1", "b=2"], ["a=2"], "a is 2, not 1; does not have b"),
        (["ref=new"], ["ref=old", "ref=new"], "ref is old, not new"),
    ],
)
def test_what_an_image_lacks(items: list[str], lines: list[str], lacks: str) -> None:
    assert wanted.difference(items, lines) == lacks


def test_programs_are_bounded_in_time_and_output() -> None:
    python = sys.executable
    start = time.monotonic()
    hung = programs.run(["/bin/sh", "-c", "sleep 60 & sleep 60"], 0.3)
    assert hung.problem == "no answer within 0.3 s"
    assert time.monotonic() - start < 20
    flood = programs.run([python, "-c", "while True: print('x' * 9999)"], 30, limit=100_000)
    assert flood.problem == "more than 100000 bytes of output"
    assert (
        programs.run(["/no/such/program"], 1).problem
        == "cannot start /no/such/program: No such file or directory"
    )
    assert programs.run(["cat"], 10).ok, "it has no input to wait for"
    failed = programs.run(["/bin/sh", "-c", "echo a; echo why >&2; exit 4"], 10)
    assert failed.evidence() == "status 4; why"


def test_a_failed_command_of_slurms_names_itself_and_why() -> None:
    slurm = Slurm(
        "rollout:x", execute=lambda words, seconds: Finished(1, err=b"slurm_reboot_nodes error\x07: x")
    )
    with pytest.raises(
        SlurmError, match=r"scontrol update NodeName=c1 State=DRAIN Reason=rollout:x: status 1; .*\\x07"
    ):
        slurm.request("c1", in_service=True)
    with pytest.raises(SlurmError, match="is no list of nodes"):
        slurm.expanded("--help")


@pytest.mark.parametrize(
    ("in_service", "reason"), [(True, "rollout:x"), (False, "rollout:x was out of service")]
)
def test_a_node_is_drained_before_its_reboot_is_requested(*, in_service: bool, reason: str) -> None:
    """Slurm would lift a drain that came with the request when it is cancelled, and replace a reason."""
    told: list[tuple[str, ...]] = []

    def execute(words: tuple[str, ...], seconds: float) -> Finished:
        told.append(words)
        return Finished(0)

    slurm = Slurm("rollout:x", execute=execute)
    slurm.request("c1", in_service=in_service)
    assert told == [
        ("scontrol", "update", "NodeName=c1", "State=DRAIN", f"Reason={reason}"),
        ("scontrol", "reboot", "ASAP", "nextstate=RESUME", "c1"),
    ]


def test_amounts_round_to_the_safe_side() -> None:
    assert Amount(10, percent=True).at_most(25) == 2
    assert Amount(10, percent=True).at_most(4) == 1
    assert Amount(50, percent=True).at_least(3) == 2
    assert [Window(1320, 360).contains(m) for m in (0, 359, 360, 1319, 1320)] == [
        True,
        True,
        False,
        False,
        True,
    ]


def test_untrusted_text_is_made_printable_and_short() -> None:
    assert printable("a\x1b]0;x\x07b\u202e") == "a\\x1b]0;x\\x07b\\u202e"
    assert len(printable("x" * 10_000)) == 121
