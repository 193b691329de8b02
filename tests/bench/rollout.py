"""How long rollout takes to plan: the whole command, against a scontrol that prints 500 nodes."""

from __future__ import annotations

import json
import os
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
