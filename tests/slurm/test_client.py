"""The image slurm-client: a token and a controller's name are all it needs."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from tests.slurm import engine
from tests.slurm.engine import Container, docker, image, start, told, until


@pytest.fixture(scope="module")
def client(node: Container, network: str, release: str) -> Iterator[Container]:
    """A client that stays, as user1."""
    secrets = {"SLURM_JWT": node.token("user1", 3600)}
    words = [
        "--network",
        network,
        "-e",
        f"SLURM_CONTROLLER=node-{release}",
        "-e",
        "SLURM_USER=user1:1001:1001",
    ]
    made = start("client", release, "slurm-client", *words, command=["sleep", "infinity"], secrets=secrets)
    try:
        until(
            lambda: made.run("test", "-e", "/run/slurm/conf/slurm.conf", check=False).returncode == 0,
            30,
            "fetched",
            made.log,
        )
        yield made
    finally:
        engine.remove(made)


def once(
    release: str, *command: str, secrets: dict[str, str] | None = None, words: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[bytes]:
    """Runs the image once, on the proof's network."""
    names = [word for key in secrets or {} for word in ("-e", key)]
    return docker(
        "run", "--rm", "--pull=never", "--label", engine.LABEL, "--network", engine.NETWORK, *names, *words,
        image("slurm-client", release), *command, check=False, secrets=secrets,
    )  # fmt: skip


def test_it_has_no_munge_and_no_key(client: Container) -> None:
    assert client.run("sh", "-c", "command -v munged munge unmunge", check=False).stdout == b""
    keys = client.out("find", "/etc", "/var/lib", "/run", "-name", "*.key", "-o", "-name", "jwks*")
    assert keys == ""


@pytest.mark.quick
def test_it_has_what_the_controller_has(client: Container, node: Container) -> None:
    assert (
        client.run("cat", "/run/slurm/conf/slurm.conf").stdout
        == node.run("cat", "/etc/slurm/slurm.conf").stdout
    )


@pytest.mark.quick
def test_sinfo_sbatch_squeue(client: Container, node: Container) -> None:
    assert client.out("sinfo", "-h", "-o", "%P %T", user=1001) == "normal* idle"
    number = client.out(
        "sbatch",
        "--parsable",
        "-D",
        "/tmp",
        "-o",
        "/tmp/by-client.%j",
        "--wrap",
        "id -un; sleep 2",
        user=1001,
    )
    assert number.isdigit()
    assert number in client.out("squeue", "-h", "-u", "user1", "-o", "%i", user=1001).split()
    until(
        lambda: "COMPLETED" in node.out("sacct", "-n", "-X", "-P", "-j", number, "-o", "state"),
        60,
        f"job {number} in sacct",
        node.log,
    )
    assert node.out("cat", f"/tmp/by-client.{number}") == "user1"


def test_sacct_asks_the_nodes_slurmdbd(client: Container, release: str) -> None:
    number = client.out(
        "sbatch", "--parsable", "-W", "-D", "/tmp", "-o", "/dev/null", "--wrap", "true", user=1001
    )
    listed = ("sacct", "-n", "-X", "-P", "-j", number, "-o", "cluster,state")
    until(
        lambda: client.out(*listed, user=1001) == "single|COMPLETED",
        60,
        f"job {number} in the client's sacct",
        lambda: told(client.run(*listed, user=1001, check=False)),
    )
    assert f"AccountingStorageHost=node-{release}" in client.out("cat", "/run/slurm/conf/slurm.conf")


def test_a_clients_token_stays_out_of_its_jobs(client: Container, node: Container) -> None:
    """With it srun would fail in the job: slurmd takes no token."""
    shown = "echo ${SLURM_JWT-none}"
    job = f"{shown}; srun sh -c '{shown}; id -un'; squeue -h -j $SLURM_JOB_ID -o %u"
    words = ["-D", "/tmp", "-o", "/tmp/token.%j", "--mem", "100", "--wrap", job]
    number = client.out("sbatch", "--parsable", "-W", *words, user=1001)
    assert node.out("cat", f"/tmp/token.{number}").split() == ["none", "none", "user1", "user1"]


def test_nothing_is_left_unreaped(client: Container) -> None:
    """The client's command is no init: what `start` leaves behind would stay a zombie."""
    states = client.out("sh", "-c", "sed 's/.*) //' /proc/[0-9]*/stat 2>/dev/null | cut -d' ' -f1").split()
    assert states
    assert "Z" not in states


def test_one_command_and_done(node: Container, release: str) -> None:
    secrets = {"SLURM_JWT": node.token("user2")}
    done = once(
        release,
        "sinfo",
        "-h",
        "-o",
        "%T",
        secrets=secrets,
        words=("-e", f"SLURM_CONTROLLER=node-{release}", "--user", "1002"),
    )
    assert (done.returncode, done.stdout.strip()) == (0, b"idle"), told(done)


def test_what_is_missing_is_said(node: Container, release: str) -> None:
    done = once(release, "sinfo")
    assert (done.returncode, "no token in SLURM_JWT" in told(done)) == (2, True)
    secrets = {"SLURM_JWT": node.token("user1")}
    done = once(release, "sinfo", secrets=secrets)
    assert (done.returncode, "no controller in SLURM_CONTROLLER" in told(done)) == (2, True)
    done = once(release, "sinfo", secrets=secrets, words=("-e", "SLURM_CONTROLLER=nobody.invalid"))
    assert done.returncode not in (0, 2)
    assert secrets["SLURM_JWT"] not in told(done)
