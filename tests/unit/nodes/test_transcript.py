"""Transcripts are bounded: one file, a lab, and all labs of a user; the newest are kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.host_speed import HostSpeed
from lab.nodes import pty, transcript
from lab.nodes.pty import PtyTransport, TooMuchOutput
from lab.nodes.shell import Console
from lab.nodes.transcript import Transcript, prune


def sizes(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*.log*")}


def test_a_node_that_prints_without_end_fills_no_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was printed last is kept."""
    monkeypatch.setattr(transcript, "PER_FILE", 10_000)
    record = Transcript(tmp_path / "lab" / "c1-root.log")
    for number in range(1000):
        record.write(f"{number:0100}\n".encode())
    record.close()
    record.close()
    kept = sizes(tmp_path)
    assert sorted(kept) == ["lab/c1-root.log", "lab/c1-root.log.old"]
    assert (max(kept.values()) <= 10_000, sum(kept.values()) > 10_000) == (True, True)
    assert record.path.read_text().splitlines()[-1].endswith("0999")
    assert {path.stat().st_mode & 0o777 for path in record.path.parent.iterdir()} == {0o600}


def test_two_commands_that_write_to_one_record_keep_the_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcript, "PER_FILE", 1000)
    records = [Transcript(tmp_path / "c1-root.log") for _ in range(2)]
    for number in range(300):
        if number == 150:
            for path in tmp_path.iterdir():
                path.unlink()
        records[number % 2].write(b"x" * 100)
    for record in records:
        record.close()
    assert max(sizes(tmp_path).values()) <= 2000


def test_the_oldest_transcripts_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcript, "PER_LAB", 250)
    monkeypatch.setattr(transcript, "IN_ALL", 350)
    for lab, ages in {"one": (9, 3, 1, 2), "two": (8, 7), "three": (4,)}.items():
        (tmp_path / lab).mkdir()
        for age in ages:
            path = tmp_path / lab / f"n{age}-root.log"
            path.write_bytes(b"x" * 100)
            os.utime(path, (1000 - age, 1000 - age))
    (tmp_path / "one" / "notes").write_bytes(b"x" * 1000)
    prune(tmp_path / "one")
    assert sorted(sizes(tmp_path)) == ["one/n1-root.log", "one/n2-root.log", "three/n4-root.log"]
    assert (tmp_path / "one" / "notes").exists()
    prune(tmp_path / "new")  # no transcript yet


def test_a_command_that_prints_too_much_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the host's memory nor its disk is the node's; the next command finds a shell."""
    monkeypatch.setattr(pty, "MOST_OUTPUT", 1 << 20)
    place = tmp_path / "lab" / "c1-root.log"
    pid = tmp_path / "pid"
    with Console(["/bin/sh"], place) as console:
        with pytest.raises(TooMuchOutput, match="printed more than 1 MiB"):
            console.run(f"echo $$ >{pid}; trap '' INT; exec yes")
        assert console.run("echo next").output == "next\n"
        shell = int(pid.read_text())
        status = Path(f"/proc/{shell}/cmdline")
        assert not status.exists() or b"yes" not in status.read_bytes()
    assert sum(sizes(tmp_path).values()) < 3 << 20


def test_a_shell_is_closed_though_the_disk_has_become_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = PtyTransport(["/bin/sh"], tmp_path / "c1-root.log", HostSpeed(most=1.0))
    tried: list[bytes] = []

    def full(_record: Transcript, data: bytes) -> None:
        tried.append(data)
        raise LabError("cannot write")

    monkeypatch.setattr(Transcript, "write", full)
    shell.close()
    assert tried
