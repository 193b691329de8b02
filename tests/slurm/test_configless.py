"""A controller that gives out no configuration."""

from __future__ import annotations

from pathlib import Path

from tests.slurm import awkward, engine
from tests.slurm.conftest import beside
from tests.slurm.engine import RELEASES, USER_UID, folder, start, told, wait_ready

CONFIGLESS_OFF = 16


def test_configless_off_is_told(network: str, release: str, tmp_path: Path) -> None:
    files = awkward.files(RELEASES[release], "munge")
    files["slurm.conf"] = files["slurm.conf"].replace(b"SlurmctldParameters=enable_configless\n", b"")
    config = folder(tmp_path, files)
    words = ["--network", network, "--hostname", awkward.HOST, "-v", f"{config}:/config:ro"]
    made = [start("off", release, "slurm-single-node", *words, command=["munged", "slurmctld"])]
    try:
        wait_ready(made[0])
        assert "lacks SlurmctldParameters=enable_configless" in made[0].log()
        made.append(beside(made[0]))
        secrets = {"SLURM_JWT": made[0].token("user1")}
        words = ["siphon", "--auth", "jwt", "-o", "/tmp/out", "localhost"]
        done = made[1].run(*words, user=USER_UID, secrets=secrets, check=False)
        assert done.returncode == CONFIGLESS_OFF, told(done)
    finally:
        for container in reversed(made):
            engine.remove(container)
