"""What every program of the guest does with errors that the system tells, and with an output that is full."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.guest.conftest import Sms, command, environment


@pytest.mark.parametrize(
    "words",
    [
        ["wwsh", "node", "list"],
        ["wwsh", "file", "list"],
        ["wwsh", "--help"],
        ["wwvnfs", "--help"],
        ["wwbootstrap", "--help"],
        ["wwinit", "--help"],
        ["nodeimage", "--help"],
        ["nodeimage", "list"],
    ],
    ids=" ".join,
)
def test_a_full_output_is_one_error_without_a_traceback(sms: Sms, words: list[str]) -> None:
    sms.must("node", "new", "c1")
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command(*words), env=environment(sms), stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert done.stderr == f"ERROR:  {words[0]}: No space left on device\nhint: df -h; findmnt\n"
    assert done.returncode == 1
