"""Whatever root in a node writes, wherever it can: no command shows it raw, crashes, or forges a line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.backends.fake import FakeBackend
from lab.cli.main import SECTIONS
from tests.hostile_text import FORGED, LONGEST_LINE, STRINGS, as_bytes, assert_harmless, assert_json
from tests.unit.cli.test_exercises import bench  # noqa: F401 (a fixture)
from tests.unit.cli.test_refusals import COURSE, LAB, Someone, someone  # noqa: F401 (a fixture)

LOOKS: dict[str, list[str]] = {
    "status": ["status"],
    "status --json": ["status", "--json"],
    "up": ["up", "-y", "--timeout", "0.2", "--progress", "plain"],
    "up --json": ["up", "-y", "--timeout", "0.2", "--progress", "json", "--json"],
    "console": ["console", "c1"],
    "logs": ["logs", "c2"],
    "logs of a node that has not booted": ["logs", "c1"],
    "credentials": ["credentials"],
    "credentials --json": ["credentials", "--json"],
}
OWN_OUTPUT = {"console", "logs", "logs of a node that has not booted"}
READY = '"${RACKLING_ROOT:-}/run/rackling/ready"'
CHECK = '''
from lab.checks import ClusterView, check, failed

@check(step="make")
def node_is_honest(cluster: ClusterView) -> None:
    """The node is honest."""
    said = cluster.sms.run("cat {said}").output
    raise failed(expected=said, actual={said: [said]}, hint=said, node="sms", look=said)

@check(step="fill")
def node_is_healthy(cluster: ClusterView) -> None:
    """The node is healthy."""
    raise ValueError(cluster.sms.run("cat {said}").output)
'''
SOLUTION = """
#: step make on sms as root
cat {said}
#: step fill on sms as root
cat {said}; cat {said} >&2; false
"""


def plant(backend: FakeBackend, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets every node of a lab say this, wherever it is heard."""
    said, lab = as_bytes(text), backend.found["lab"]
    place = {"sms": backend.folder("lab", "sms"), "c2": backend.folder("lab", "c2")}
    for name in ("sms", "login"):
        (backend.folder("lab", name) / "system").write_bytes(said)
    (place["sms"] / "munge.service").write_bytes(said)
    (place["sms"] / "nodes").write_bytes(b"".join(_in_slurm(name, said) for name in ("c1", "c2", "g1", "g2")))
    (place["sms"] / "run/rackling/ready").write_text(json.dumps({"result": text}))
    (place["sms"] / "etc/rackling").mkdir(parents=True, exist_ok=True)
    (place["sms"] / "etc/rackling/service.json").write_text(
        json.dumps({"snapshot": "kept", "nodes": {"c1": {"out": "down", "reason": text}, text: text}})
    )
    (place["sms"] / "credentials.json").write_text(json.dumps({"users": [{"name": text, "password": text}]}))
    monkeypatch.setattr("lab.cli.credentials.PLACE", str(place["sms"] / "credentials.json"))
    (place["c2"] / "journal").write_bytes(said)
    (place["c2"] / "bin/journalctl").write_text('#!/bin/sh\ncat "$NODE/journal"; cat "$NODE/journal" >&2\n')
    lab.console["c1"] = said
    lab.stage["c1"], lab.detail["c1"] = said.decode(errors="replace"), said.decode(errors="replace")


def _in_slurm(name: str, said: bytes) -> bytes:
    times = b"BootTime=2026-11-21T12:00:00 SlurmdStartTime=2999-11-21T12:00:00"
    return b"NodeName=%s CPUTot=2 RealMemory=900 State=DOWN+%s %s Reason=%s [root@now]\n" % (
        name.encode(),
        said[:40].split(b"\n")[0],
        times,
        said,
    )


def run(
    someone: Someone,  # noqa: F811
    name: str,
    words: list[str],
    capfd: pytest.CaptureFixture[str],
) -> tuple[str, str]:
    """Standard output and error of a command, whether it writes them itself or lets another program do it."""
    capfd.readouterr()
    status, told = someone.run(name, words)
    direct = capfd.readouterr()
    assert status in (0, 1, 2, 3, 5, 7), told
    return someone.out.read_text() + direct.out, told + direct.err


def test_the_strings_are_twenty_and_hostile() -> None:
    assert len(STRINGS) == 20
    for what, text in STRINGS.items():
        if what != "is markup and shell":
            with pytest.raises(AssertionError):
                assert_harmless(f"c1  {text}")


@pytest.mark.parametrize("what", STRINGS)
def test_no_look_at_a_lab_shows_it_raw(
    someone: Someone,  # noqa: F811
    what: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    plant(someone.backend, STRINGS[what], monkeypatch)
    for name, words in LOOKS.items():
        out, told = run(someone, name, words, capfd)
        assert_harmless(out, of_node=name in OWN_OUTPUT)
        assert_harmless(told, of_node=name in OWN_OUTPUT)
        if "--json" in words and out:
            assert_json(out)
    assert not list(Path.cwd().glob(FORGED))


@pytest.mark.parametrize("what", STRINGS)
def test_no_command_of_the_course_shows_it_raw(
    someone: Someone,  # noqa: F811
    what: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    said = someone.course.nodes / "said"
    said.write_bytes(as_bytes(STRINGS[what]))
    exercise = someone.folder / "exercises" / "make_file"
    (exercise / "check.py").write_text(CHECK.replace("{said}", str(said)))
    (exercise / "solution.sh").write_text(SOLUTION.replace("{said}", str(said)))
    for words in (["check", "make_file"], ["check", "make_file", "--json"], ["solve", "make_file"]):
        someone.environ["LAB_DEBUG"] = "1" if "--json" in words else "0"  # with tracebacks, once
        out, told = run(someone, words[0], words, capfd)
        assert_harmless(
            out, of_node=words[0] == "solve", longest=25_000 if "--json" in words else LONGEST_LINE
        )
        assert_harmless(told.replace("Traceback", "") if "--json" in words else told)
        if "--json" in words:
            assert_json(out)
    for transcript in Path(someone.environ["HOME"]).rglob("transcripts/**/*.log"):
        assert_harmless(transcript.read_text(), of_node=True)


def test_every_command_is_harmless_where_all_of_them_are_planted(
    someone: Someone,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    text = "".join(text[:200] for what, text in STRINGS.items() if what != "is no text")  # the fake reads it
    plant(someone.backend, text, monkeypatch)
    someone.backend.stubborn.add("c2")
    for name, words in {**LAB, **COURSE}.items():
        more = ["--timeout", "0.2"] if name in ("up", "restore") else []
        if name not in ("shell", "down"):
            out, told = run(someone, name, [*words, *more], capfd)
            assert_harmless(out, of_node=name in (*OWN_OUTPUT, "show", "completion"))
            assert_harmless(told)
    assert set(LAB) | set(COURSE) == {name for section in SECTIONS.values() for name in section}


def test_names_of_files_that_a_node_sends_are_harmless(
    someone: Someone,  # noqa: F811
    capfd: pytest.CaptureFixture[str],
) -> None:
    folder = someone.backend.folder("lab", "c2") / "strange"
    folder.mkdir()
    for text in STRINGS.values():
        (folder / text.replace("/", "_")[:60]).symlink_to("/etc/passwd")
    for source in (str(folder), *(f"/nowhere{text[:200]}" for text in STRINGS.values())):
        out, told = run(someone, "cp", ["cp", f"c2:{source}", str(someone.folder)], capfd)
        assert_harmless(out)
        assert_harmless(told)
