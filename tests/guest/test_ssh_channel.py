"""The way into a virtual machine: what its service runs, with a file for the serial port."""

from __future__ import annotations

import subprocess
from pathlib import Path

SERVE = Path(__file__).parents[2] / "lab/guest/files/initramfs/lib/ssh-channel/serve"


def serve(place: Path, *words: str) -> tuple[bytes, bool]:
    """Runs the script; returns what was written to the port, and whether a server was started on it."""
    port, served = place / "port", place / "served"
    port.touch()
    (place / "port.sh").write_text(f"port_called() {{ echo {port}; }}\n")
    (place / "host_key").write_text("a key\n")
    (place / "sshd").write_text(f"#!/bin/sh\ntouch {served}\n")
    (place / "sshd").chmod(0o755)
    text = SERVE.read_text().replace("/run/rackling/door", str(place)).replace("/run/sshd", f"{place}/run")
    script = place / "serve"
    script.write_text(text.replace("/usr/sbin/sshd", str(place / "sshd")))
    subprocess.run(["sh", script, *words], check=True, timeout=20)
    return port.read_bytes(), served.exists()


def test_a_caller_is_served(tmp_path: Path) -> None:
    assert serve(tmp_path) == (b"", True)


def test_a_caller_who_is_left_over_is_told_by_nonsense_and_nobody_is_served(tmp_path: Path) -> None:
    """What a service starts while it stops holds up a reboot, and is killed when the stop takes too long."""
    assert serve(tmp_path, "hang-up") == (bytes(64), False)
