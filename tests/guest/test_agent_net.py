"""The boot agent's requests: what they print, their source ports, and that no cut body passes for whole."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

AGENT = Path(__file__).parents[2] / "lab/guest/files/initramfs/lib/agent"
LENGTH = r"HTTP/1.1 200 OK\r\nContent-Length: "
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
    script = f". {AGENT}/net.sh; ww_get nodeconfig; exit $?"
    done = subprocess.run(
        ["/bin/sh", "-uc", script], env=environ, capture_output=True, text=True, timeout=20, check=False
    )
    return done, (folder / "calls").read_text().splitlines()


def test_the_body_is_printed(tmp_path: Path) -> None:
    done, calls = ask(tmp_path, LENGTH + r"14\r\nA: b\r\n\r\nWWNODENAME=c1\n", refusals=0)
    assert (done.returncode, done.stdout, len(calls)) == (0, "WWNODENAME=c1\n", 1)


def test_a_resting_port_is_left_for_another(tmp_path: Path) -> None:
    done, calls = ask(tmp_path, LENGTH + r"4\r\n\r\nbody", refusals=3)
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
        (LENGTH + r"0\r\n\r\n", 0, ""),
        (LENGTH + r"5\r\n\r\nbody", 1, "body"),
        (r"HTTP/1.1 200 OK\r\n\r\nbody", 1, ""),
        (r"HTTP/1.1 302 Found\r\nLocation: /WW/vnfs_cache/x\r\n\r\n", 3, "/WW/vnfs_cache/x"),
    ],
)
def test_an_answer_is_not_asked_for_twice(tmp_path: Path, answer: str, code: int, body: str) -> None:
    done, calls = ask(tmp_path, answer, refusals=0)
    assert (done.returncode, done.stdout, len(calls)) == (code, body, 1)


IMAGE_NC = """#!/bin/sh
IFS= read -r line
echo "${line%?} $*" >>"$FOLDER/calls"
case $line in
    *"/WW/vnfs?"*) printf 'HTTP/1.1 302 Found\\r\\nLocation: /WW/vnfs_cache/d/image.1\\r\\n\\r\\n' ;;
    *) printf 'HTTP/1.1 200 OK\\r\\nContent-Length: %s\\r\\n\\r\\n' "$(wc -c <"$FOLDER/image")"
       head -c "$SENT" "$FOLDER/image" ;;
esac
"""
GET_IMAGE = """
. $AGENT/net.sh; . $FOLDER/root.sh
in_chassis=1 WWVNFS_NAME=d wwhwaddr=52:54:00:00:00:01 why=
cpio() { command cpio --quiet "$@"; }
download_vnfs "$FOLDER/root"; code=$?
echo "$why"
exit $code
"""


def fetched(folder: Path, *, missing: int = 0) -> tuple[int, str, list[str]]:
    """Gets an image whose last `missing` bytes never come; status, reason, and each call of nc."""
    (folder / "tree/sbin").mkdir(parents=True)
    (folder / "tree/sbin/init").write_bytes(os.urandom(200_000))
    (folder / "root").mkdir()
    packed = "cd tree && find . | cpio -o -H newc --quiet | zstd -q >../image"
    subprocess.run(["/bin/sh", "-c", packed], cwd=folder, check=True)
    (folder / "nc.openbsd").write_text(IMAGE_NC)
    (folder / "nc.openbsd").chmod(0o755)
    size = (folder / "image").stat().st_size
    environ = {
        "PATH": f"{folder}:/usr/bin:/bin",
        "AGENT": str(AGENT),
        "FOLDER": str(folder),
        "SENT": str(size - missing),
        "wwmaster": "172.16.0.1",
    }
    # The agent's notes lie in /run, which is the host's here.
    (folder / "root.sh").write_text((AGENT / "root.sh").read_text().replace("/run/", f"{folder}/"))
    done = subprocess.run(
        ["/bin/sh", "-uc", GET_IMAGE], env=environ, capture_output=True, text=True, timeout=20, check=False
    )
    return done.returncode, done.stdout.strip(), (folder / "calls").read_text().splitlines()


def test_the_image_comes_through_a_port_of_roots(tmp_path: Path) -> None:
    code, why, calls = fetched(tmp_path)
    assert (code, why) == (0, "")
    assert (tmp_path / "root/sbin/init").read_bytes() == (tmp_path / "tree/sbin/init").read_bytes()
    assert [call.split()[1] for call in calls] == [
        "/WW/vnfs?hwaddr=52:54:00:00:00:01",
        "/WW/vnfs_cache/d/image.1",
    ]
    assert all(200 <= int(call.split("-p ")[1].split()[0]) < 1000 for call in calls)


@pytest.mark.parametrize("missing", [1, 70_000])
def test_an_image_that_was_cut_off_is_not_booted(tmp_path: Path, missing: int) -> None:
    code, why, _ = fetched(tmp_path, missing=missing)
    assert (code, why) == (9, "could not fetch vnfs_cache/d/image.1")
