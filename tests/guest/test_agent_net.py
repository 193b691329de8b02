"""The boot agent's ww_get: what it prints, and that a source port which cannot be had is not the end."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

AGENT = Path(__file__).parents[2] / "lab/guest/files/initramfs/lib/agent/net.sh"
FAKE_NC = """#!/bin/sh
cat >/dev/null
echo "$*" >>"$CALLS"
if [ "$(wc -l <"$CALLS")" -le "$REFUSALS" ]; then
    echo 'nc.openbsd: bind failed: Address already in use' >&2
    exit 1
fi
printf '{answer}'
"""


def ask(folder: Path, answer: str, *, refusals: int) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Runs `ww_get nodeconfig` against a fake nc that cannot bind its first ports."""
    (folder / "calls").touch()
    program = folder / "nc.openbsd"
    program.write_text(FAKE_NC.format(answer=answer))
    program.chmod(0o755)
    environ = {
        "PATH": f"{folder}:/usr/bin:/bin",
        "CALLS": str(folder / "calls"),
        "REFUSALS": str(refusals),
        "wwmaster": "172.16.0.1",
    }
    script = f". {AGENT}; ww_get nodeconfig; exit $?"
    done = subprocess.run(
        ["/bin/sh", "-uc", script], env=environ, capture_output=True, text=True, timeout=20, check=False
    )
    return done, (folder / "calls").read_text().splitlines()


def test_the_body_is_printed(tmp_path: Path) -> None:
    done, calls = ask(tmp_path, r"HTTP/1.1 200 OK\r\nA: b\r\n\r\nWWNODENAME=c1\n", refusals=0)
    assert (done.returncode, done.stdout, len(calls)) == (0, "WWNODENAME=c1\n", 1)


def test_a_resting_port_is_left_for_another(tmp_path: Path) -> None:
    done, calls = ask(tmp_path, r"HTTP/1.1 200 OK\r\n\r\nbody", refusals=3)
    assert (done.returncode, done.stdout) == (0, "body")
    ports = [int(call.split("-p ")[1].split()[0]) for call in calls]
    assert len(ports) == 4
    assert len(set(ports)) > 1
    assert all(200 <= port < 1000 for port in ports)


def test_it_gives_up_when_nobody_ever_answers(tmp_path: Path) -> None:
    done, calls = ask(tmp_path, "", refusals=100)
    assert (done.returncode, done.stdout, len(calls)) == (4, "", 6)
    assert "Address already in use" in done.stderr


@pytest.mark.parametrize(
    ("answer", "code", "body"),
    [
        (r"HTTP/1.1 404 Not Found\r\n\r\nnothing here", 1, ""),
        (r"HTTP/1.1 302 Found\r\nLocation: /WW/vnfs_cache/x\r\n\r\n", 3, "/WW/vnfs_cache/x"),
    ],
)
def test_an_answer_is_not_asked_for_twice(tmp_path: Path, answer: str, code: int, body: str) -> None:
    done, calls = ask(tmp_path, answer, refusals=0)
    assert (done.returncode, done.stdout, len(calls)) == (code, body, 1)
