"""Measures siphon against Slurm's own sackd: `python -m tests.bench.sackd`; a Markdown table of medians.

Both fetch from one controller of their own release, in turns, inside one container; the command starts and
removes controller, container and network.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from lab import standalone
from lab.backends.docker.engine import image as tagged
from tests.bench import fetching
from tests.bench.fetching import Cost, Way
from tests.slurm import engine
from tests.slurm.engine import Container, docker

RELEASE = "trixie"
IMAGES = (f"slurm-single-node-{RELEASE}", "slurm-bench")
HOST = "controller"
FOLDER = "/run/slurm/conf"  # sackd writes here and nowhere else
EXPECTED = "/tmp/expected"
CACHE = "/tmp/cache"
PYTHON = "/usr/bin/python3"
ARCHIVE = "/tmp/siphon.pyz"
CONFIG = {
    "slurm.conf": b"""\
ClusterName=bench
SlurmctldHost=controller
SlurmUser=slurm
AuthType=auth/munge
AuthAltTypes=auth/jwt
AuthAltParameters=jwt_key=/var/lib/slurm-single-node/bench/jwt.key
SlurmctldParameters=enable_configless
StateSaveLocation=/var/lib/slurm-single-node/slurmctld
SlurmdSpoolDir=/var/lib/slurm-single-node/slurmd
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
Include nodes.conf
PartitionName=normal Nodes=n[1-400] Default=YES MaxTime=1-00:00:00 State=UP
""",
    "nodes.conf": b"NodeName=n[1-400] CPUs=64 RealMemory=256000 State=FUTURE\n",
    "plugstack.conf": b"# no plugin\n",
    "topology.conf": b"".join(
        b"SwitchName=s%d Nodes=n[%d-%d]\n" % (i, i * 16 + 1, i * 16 + 16) for i in range(25)
    ),
}


@dataclass(frozen=True)
class Row:
    """One line of the table: medians of all runs, and the fastest."""

    name: str
    wall: float
    best: float
    cpu: float
    memory: int

    def cells(self, base: Row) -> str:
        """The line; the fastest run as a multiple of another's, since a busy machine touches it least."""
        times = f"{self.wall * 1e3:.1f} ms | {self.best * 1e3:.1f} ms | {self.best / base.best:.2f}×"
        return f"| {self.name} | {times} | {self.cpu * 1e3:.1f} ms | {self.memory / 1024:.1f} MB |"


def siphon(*words: str) -> list[str]:
    return [PYTHON, "-I", "-S", ARCHIVE, "-q", *words, HOST]


WAYS = (
    Way("bare `python3 -I -S -c pass`", [PYTHON, "-I", "-S", "-c", "pass"], fetches=False),
    Way("siphon.pyz with a token", siphon("--auth", "jwt", "-o", FOLDER), token=True),
    Way("siphon.pyz with munged", siphon("--auth", "munge", "-o", FOLDER)),
    Way("siphon.pyz, version not remembered", siphon("--auth", "jwt", "-o", FOLDER), token=True, cache=CACHE),
    Way(
        "sackd with munged",
        ["/usr/sbin/sackd", "-D", "--conf-server", HOST],
        daemon=True,
    ),
)
SACKD = WAYS[-1]


@contextlib.contextmanager
def bed() -> Iterator[tuple[Container, Container]]:
    """A controller, and a container beside it that has its munged's socket."""
    engine.sweep()
    docker(
        "network", "create", "--internal", "--subnet", engine.SUBNET, "--label", engine.LABEL, engine.NETWORK
    )
    socket = engine.volume("slurm-bench-munged")
    try:
        with tempfile.TemporaryDirectory(prefix="siphon-bench-") as place:
            config = engine.folder(Path(place) / "config", CONFIG)
            mounts = ["-v", f"{config}:/config:ro", "-v", f"{socket}:/run/munge"]
            words = ["--network", engine.NETWORK, "--hostname", HOST, "--network-alias", HOST, *mounts]
            controller = engine.start(
                "bench", RELEASE, "slurm-single-node", *words, command=["munged", "slurmctld"]
            )
            engine.wait_ready(controller)
            yield controller, beside(socket)
    finally:
        engine.sweep()


def beside(socket: str) -> Container:
    """The container in which everything is measured."""
    name = "slurm-bench-client"
    words = ["--network", engine.NETWORK, "-v", f"{socket}:/run/munge:ro", "-e", f"XDG_CACHE_HOME={CACHE}"]
    docker(
        "run", "-d", "--pull=never", "--label", engine.LABEL, "--name", name, *words, tagged("slurm-bench")
    )
    made = Container(name, RELEASE)
    made.put("/usr/lib/siphon/lab/standalone.py", Path(standalone.__file__).read_bytes())
    made.run("sh", "-c", f"cd /usr/lib/siphon && {PYTHON} -m lab.standalone siphon {ARCHIVE} {PYTHON}")
    return made


def ask(
    client: Container, token: str, ways: Sequence[Way], sizes: dict[str, int], runs: int
) -> dict[str, list[Cost]]:
    """Has the ways measured in the container."""
    order = {"ways": [way._asdict() for way in ways], "sizes": sizes, "folder": FOLDER, "runs": runs}
    program = Path(fetching.__file__).read_bytes()
    client.put("/tmp/fetching.py", program)
    done = client.run(
        PYTHON, "-I", "-S", "/tmp/fetching.py", stdin=json.dumps(order).encode(), secrets={"SLURM_JWT": token}
    )
    return {name: [Cost(*cost) for cost in costs] for name, costs in json.loads(done.stdout).items()}


def compare(runs: int) -> list[Row]:
    """The medians of all ways; AssertionError where sackd and siphon did not bring the same."""
    with bed() as (controller, client):
        token = controller.token("user1", 3600)
        client.run(*siphon("--auth", "jwt", "-o", EXPECTED), secrets={"SLURM_JWT": token})
        wanted = {name: digest for name, digest in client.files(EXPECTED).items() if not name.startswith(".")}
        sizes = {name: int(client.out("stat", "-c", "%s", f"{EXPECTED}/{name}")) for name in wanted}
        costs = ask(client, token, WAYS, sizes, runs)
        ask(client, token, [SACKD], sizes, 1)
        brought = client.files(FOLDER)
        assert brought == wanted, f"sackd brought {sorted(brought)}, siphon {sorted(wanted)}"
    return [row(name, found) for name, found in costs.items()]


def row(name: str, costs: Sequence[Cost]) -> Row:
    """What all runs of one way come to."""
    middle = Cost(*(median(values) for values in zip(*costs, strict=True)))
    return Row(name, middle.wall, min(cost.wall for cost in costs), middle.cpu, int(middle.memory))


def main() -> int:
    """Prints the table; the status of the image build where that failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.sackd", description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    options = parser.parse_args()
    built = [sys.executable, "-m", "lab.cli.main", "images", "build", *IMAGES]
    if code := subprocess.run(built, check=False, stdout=sys.stderr).returncode:
        return code
    rows = compare(options.runs)
    print("| what | complete after | fastest | | CPU | memory |\n|---|---:|---:|---:|---:|---:|")
    for row in rows:
        print(row.cells(rows[-1]))
    load = os.getloadavg()[0]
    print(f"\nSlurm {engine.RELEASES[RELEASE]}, medians of {options.runs} runs in turns, load {load:.1f}.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
