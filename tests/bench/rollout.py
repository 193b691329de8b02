"""How long rollout takes: to plan, against a scontrol that prints 500 nodes; and for two real nodes."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.bed import ROOT, Bed
from tests.bench.figures import Figure

NODES = 500
PADDING = "x" * 2500
"""About as much as Slurm 24.11 prints of a node besides what is read."""

CHROOT = "/opt/ohpc/admin/images/debian13"
PREPARE = """\
set -e
if ! grep -q ^RebootProgram= /etc/slurm/slurm.conf; then
    echo 'RebootProgram="/sbin/shutdown -r now"' >>/etc/slurm/slurm.conf
    scontrol reconfigure
fi
"""
BEGIN = """\
set -e
echo commit=@COMMIT@ >@CHROOT@/etc/image-release
wwvnfs --chroot @CHROOT@ >/dev/null
rm -f /home/user1/go
for node in c1 c2; do
    su -l user1 -c "sbatch -Q -w $node -o /dev/null --wrap 'until [ -e go ]; do sleep 0.1; done'"
done
until [ "$(squeue -h -t R -u user1 | wc -l)" = 2 ]; do sleep 0.2; done
systemd-run -q --collect --unit=rolling rollout start --image commit=@COMMIT@ --nodes c1,c2 \
    --canary 0 --max-unavailable 2
until [ "$(scontrol show node c1,c2 | grep -c REBOOT_REQUESTED)" = 2 ]; do sleep 0.2; done
"""
END = """\
touch /home/user1/go
while systemctl -q is-active rolling; do sleep 0.1; done
rollout status | grep ^complete"""
TIDY = (
    f"rm -rf {CHROOT}/etc/image-release /var/lib/rollout /home/user1/go; wwvnfs --chroot {CHROOT} >/dev/null"
)


def nodes() -> str:
    """`scontrol show nodes --json` of a cluster of ten partitions, one node in ten with a job."""
    listed = [
        {
            "name": f"n{number}",
            "state": ["MIXED" if number % 10 == 0 else "IDLE"],
            "reason": "",
            "partitions": ["all", f"p{number % 10}"],
            "comment": PADDING,
        }
        for number in range(NODES)
    ]
    return json.dumps({"nodes": listed})


def rollout_plan(bed: Bed) -> list[Figure]:
    """`rollout plan` with a floor of every partition; no lab takes part."""
    with TemporaryDirectory(prefix="bench-rollout-") as folder:
        (Path(folder) / "nodes.json").write_text(nodes(), encoding="utf-8")
        scontrol = Path(folder) / "scontrol"
        scontrol.write_text(f"#!/bin/sh\ncat {folder}/nodes.json\n", encoding="utf-8")
        scontrol.chmod(0o755)
        env = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
        words = [
            "plan",
            "--image",
            "commit=4f1c2aa",
            "--floor",
            "partition:*=80%",
            "--wave-size",
            "10%",
            "--json",
        ]

        def once() -> float:
            start = time.monotonic()
            done = subprocess.run(
                [sys.executable, "-m", "lab.rollout", *words],
                cwd=ROOT,
                env=env,
                capture_output=True,
                check=True,
            )
            assert json.loads(done.stdout)["nodes"] == NODES
            return time.monotonic() - start

        values = bed.several(f"rollout plan, {NODES} nodes", once, runs=bed.runs * 3)
    return [Figure(f"`rollout plan` for {NODES} nodes", "s", 1, values)]


def rollout_wave(bed: Bed) -> list[Figure]:
    """From the end of the jobs on two nodes until both have passed; rollout looks every 3 s, as usual."""
    bed.run("up")
    bed.inside("sms", PREPARE)

    def once() -> float:
        begin = BEGIN.replace("@COMMIT@", secrets.token_hex(20)).replace("@CHROOT@", CHROOT)
        bed.inside("sms", begin)
        return bed.timed_inside("sms", END)

    try:
        values = bed.several("a wave of two nodes", once)
    finally:
        bed.inside("sms", TIDY)
    return [Figure("`rollout`: end of the jobs of two nodes → both proven", "s", 15, values)]
