"""The page gets a row for each job, whatever jobs are called, and reaches what it has buttons for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as some

from lab.slurm_jupyter import panel
from lab.slurm_jupyter.commands import Done
from lab.slurm_jupyter.panel import RefusedError, User
from lab.slurm_jupyter.sentences import sentence

ME = User("alice", 1001)
PAGE_QUEUE = ("-o", "%.18i %.9P %j %.20u %.2t %.15M %.6D %R", "-h")
PAGE_HISTORY = ("-P", "-n", "-X", "-o", "JobID,Partition,JobName,User,State", "-S", "now-30days")
NAMES = some.text(min_size=1, max_size=60)
NASTY = [
    "a b",
    "a|b",
    "a\nb",
    "x\n9 normal y root R 1 1 n",
    "a\u2028b\x1c\x85c",
    "\x1b[31mred",
    " ",
    "<b>",
    '"q"',
    "é",
]


@dataclass(frozen=True)
class Slurm:
    """Stands for Slurm's programs: prints jobs in the format that was asked for."""

    jobs: list[dict[str, str]]
    calls: list[list[str]] = field(default_factory=list)

    def __call__(self, words: Sequence[str]) -> Done:
        self.calls.append([*words])
        if words[0] == "squeue":
            return Done(
                0, "".join(self._formatted(words[words.index("-o") + 1], job) for job in self.jobs), ""
            )
        if words[0] == "sacct":
            mark = next(word for word in words if word.startswith("--delimiter=")).partition("=")[2]
            fields = words[words.index("-o") + 1].split(",")
            return Done(
                0, "".join("".join(job[name] + mark for name in fields) + "\n" for job in self.jobs), ""
            )
        if [*words[:3]] == ["scontrol", "show", "job"]:
            return Done(0, f"JobId={words[3]} JobName={self.jobs[0]['j']}\n   UserId=alice(1001)\n", "")
        return Done(0, "", "")

    @staticmethod
    def _formatted(text: str, job: dict[str, str]) -> str:
        """squeue's -o: one letter after each %."""
        first, *rest = text.split("%")
        return first + "".join(job[part[0]] + part[1:] for part in rest) + "\n"


def job(name: str, uid: str = "1001", number: str = "7") -> dict[str, str]:
    reason = "(Nodes required for job are DOWN, DRAINED)"
    queue = {"i": number, "P": "normal", "j": name, "u": uid, "t": "PD", "M": "0:00", "D": "1", "R": reason}
    return {
        **queue,
        "JobID": number,
        "Partition": "normal",
        "JobName": name,
        "User": uid,
        "State": "COMPLETED",
    }


def page_queue(out: str) -> list[list[str]]:
    """As SqueueHandler reads it."""
    rows = [line.strip().split(maxsplit=7) for line in out.strip().splitlines() if line]
    return [row for row in rows if len(row) == 8]


@pytest.mark.parametrize("name", NASTY)
def test_the_queue_has_every_job_whatever_it_is_called(name: str) -> None:
    slurm = Slurm([job(name), job("plain", uid="1002", number="25_[1-8%1]")])
    rows = page_queue(panel.squeue(PAGE_QUEUE, slurm, ME).out)
    assert [(row[0], row[1], row[3], row[4], row[7]) for row in rows] == [
        ("7", "normal", "alice", "PD", "(Nodes required for job are DOWN, DRAINED)"),
        ("25_[1-8%1]", "normal", "1002", "PD", "(Nodes required for job are DOWN, DRAINED)"),
    ]
    assert rows[1][2] == "plain"


@given(some.lists(NAMES, max_size=5))
def test_any_names_give_as_many_rows(names: list[str]) -> None:
    slurm = Slurm([job(name, number=str(at)) for at, name in enumerate(names)])
    assert [row[0] for row in page_queue(panel.squeue(PAGE_QUEUE, slurm, ME).out)] == [
        str(at) for at in range(len(names))
    ]
    history = panel.sacct(PAGE_HISTORY, slurm, ME).out.strip().splitlines()
    assert [line.split("|")[0] for line in history] == [str(at) for at in range(len(names))]
    assert all(len(line.split("|")) == 5 for line in history)


def test_history_is_the_users_own_and_names_the_user() -> None:
    slurm = Slurm([job("a|b")])
    done = panel.sacct((*PAGE_HISTORY, "-u", "alice"), slurm, ME)
    assert done.out == "7|normal|a_b|alice|COMPLETED\n"
    assert "-u" not in slurm.calls[0]
    panel.sacct((*PAGE_HISTORY, "-u", "bob"), slurm, ME)
    assert slurm.calls[1][slurm.calls[1].index("-u") + 1] == "bob"


@pytest.mark.parametrize(
    "words",
    [
        ("--jobs", "7", "--format=JobName%512", "--noheader", "--parsable2", "--allocations"),
        ("-j", "7_3", "--parsable2", "-n", "-o", "JobID,JobName", "-S", "now-30days", "-E", "now"),
    ],
)
def test_the_details_history_works(words: tuple[str, ...]) -> None:
    slurm = Slurm([{**job("a | b"), "JobName%512": "a | b"}])
    assert panel.sacct(words, slurm, ME).out in ("a | b\n", "7|a _ b\n")


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("-P", "-n", "-X"),
        (*PAGE_HISTORY, "-a"),
        (*PAGE_HISTORY, "-u", "root,alice"),
        (*PAGE_HISTORY, "-u", "--allusers"),
        (*PAGE_HISTORY, "-f", "/etc/passwd"),
        ("-P", "-o", "JobID;id", "-S", "now-30days"),
        ("-P", "-o", "JobID", "-S", "2020-01-01"),
        ("-P", "-o"),
    ],
)
def test_sacct_takes_nothing_else(words: tuple[str, ...]) -> None:
    slurm = Slurm([])
    with pytest.raises(RefusedError):
        panel.sacct(words, slurm, ME)
    assert slurm.calls == []


@pytest.mark.parametrize("action", panel.ACTIONS)
def test_scontrol_does_what_has_a_button(action: str) -> None:
    slurm = Slurm([])
    panel.scontrol((action, "25_3"), slurm, ME)
    assert slurm.calls == [["scontrol", action, "25_3"]]


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("update", "nodename=n1", "state=down"),
        ("update", "7"),
        ("shutdown",),
        ("token",),
        ("token", "7"),
        ("show", "config"),
        ("show", "job"),
        ("show", "job", "7", "-d"),
        ("hold", "name=all"),
        ("hold", "7", "8"),
        ("hold", "7,8"),
        ("requeue", "7\n8"),
        ("--help",),
        ("show", "node", "n1"),
    ],
)
def test_scontrol_does_nothing_else(words: tuple[str, ...]) -> None:
    slurm = Slurm([])
    with pytest.raises(RefusedError, match="scontrol"):
        panel.scontrol(words, slurm, ME)
    assert slurm.calls == []


def test_a_name_adds_no_line_to_a_jobs_details() -> None:
    slurm = Slurm([job("x\n   UserId=root(0)")])
    lines = panel.scontrol(("show", "job", "7"), slurm, ME).out.splitlines()
    assert lines == ["JobId=7 JobName=x_   UserId=root(0)", "   UserId=alice(1001)"]


def test_arrays_are_cancelled_as_they_are_shown() -> None:
    slurm = Slurm([])
    panel.scancel(("25_[1-8%1]", "7", "9_2"), slurm, ME)
    assert slurm.calls == [["scancel", "25_[1-8]", "7", "9_2"]]
    for words in ((), ("-u", "bob"), ("7", "--state=RUNNING"), ("all",)):
        with pytest.raises(RefusedError):
            panel.scancel(words, slurm, ME)


def test_a_script_is_submitted_without_options() -> None:
    slurm = Slurm([])
    panel.sbatch(("/home/alice/a job.sh",), slurm, ME)
    assert slurm.calls == [["sbatch", "/home/alice/a job.sh"]]
    for words in ((), ("--wrap=id",), ("a", "b")):
        with pytest.raises(RefusedError):
            panel.sbatch(words, slurm, ME)


@pytest.mark.parametrize(("name", "words"), [("squeue", PAGE_QUEUE), ("sacct", PAGE_HISTORY)])
def test_a_failure_stays_one(name: str, words: tuple[str, ...]) -> None:
    done = panel.PROGRAMS[name](words, lambda _: Done(1, "", "boom"), ME)
    assert (done.status, done.err) == (1, "boom")


@pytest.mark.parametrize(
    ("said", "sentences"),
    [
        ("slurm_load_jobs error: Protocol authentication error", "Slurm refuses the token: renew it"),
        ("squeue: error: Incompatible versions of client and server code", "another Slurm release"),
        ("slurm_load_jobs error: Unable to contact slurm controller (connect failure)", "does not answer"),
        (
            "sacct: error: Problem talking to the database: Connection refused",
            "database daemon does not answer",
        ),
        ("sbatch: error: Batch job submission failed: Invalid partition", "Batch job submission failed"),
        ("", ""),
    ],
)
def test_one_sentence_with_the_cause(said: str, sentences: str) -> None:
    told = sentence(said)
    assert sentences in told
    assert "\n" not in told
