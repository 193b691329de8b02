"""slurm-token in the single node: each release that knows several signing keys takes its tokens."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.slurm import engine
from tests.slurm.engine import Container, docker, start, told, wait_ready

SOCKET = "unix:/run/slurm-token/socket"


@pytest.fixture
def issuer(network: str, release: str) -> Iterator[Container]:
    """A whole Slurm with a volume where slurm-token's socket is."""
    volume = engine.volume(f"slurm-token-{release}")
    made = start(
        "issuer", release, "slurm-single-node", "--network", network, "-v", f"{volume}:/run/slurm-token"
    )
    try:
        wait_ready(made)
        yield made
    finally:
        engine.remove(made)
        docker("volume", "rm", volume, check=False)


def test_a_user_gets_a_token_that_slurm_takes(issuer: Container, release: str) -> None:
    if release == "bullseye":
        assert "slurmtoken is left out: Slurm 20.11 knows one signing key only" in issuer.log()
        return
    get = ("slurm-token", "get", SOCKET, "-o", "/tmp/token")
    issuer.run(*get, user=engine.USER_UID)
    secrets = {"SLURM_JWT": issuer.out("cat", "/tmp/token")}
    for words in (("squeue", "-h"), ("sacct", "-n"), ("scontrol", "show", "job")):
        done = issuer.run(*words, user=engine.USER_UID, secrets=secrets, check=False)
        assert done.returncode == 0, told(done)
    header, body, signature = secrets["SLURM_JWT"].split(".")
    forged = {"SLURM_JWT": f"{header}.{body}.{'A' * len(signature)}"}
    assert issuer.run("squeue", "-h", user=engine.USER_UID, secrets=forged, check=False).returncode != 0
    for user in (0, engine.SLURM_UID):
        refused = issuer.run("slurm-token", "get", SOCKET, "-o", "/tmp/none", user=user, check=False)
        assert (refused.returncode, "this account gets no token here" in told(refused)) == (12, True)
    assert signature not in issuer.log()
