"""The image slurm-single-node: what `docker run` alone gives, for each release."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.slurm import engine
from tests.slurm.engine import RELEASES, STATE, Container, docker, image, start, until, wait_ready

REST = "http://localhost:6820"
SERVICES = ["munged", "mariadbd", "slurmdbd", "slurmctld", "slurmd", "slurmrestd"]
DONE = "COMPLETED"


def rest(
    node: Container, path: str, body: object = None, user: str = "user1", token: str | None = None
) -> dict[str, Any]:
    """Asks slurmrestd as a user; token and body go through a pipe."""
    secret = node.token(user) if token is None else token
    lines = [f'header = "X-SLURM-USER-NAME: {user}"', f'header = "X-SLURM-USER-TOKEN: {secret}"']
    if body is not None:
        lines += ['header = "Content-Type: application/json"', f"data = {json.dumps(json.dumps(body))}"]
    lines.append(f'url = "{REST}{path}"')
    done = node.run(
        "curl", "--silent", "--max-time", "20", "--config", "-", stdin="\n".join(lines).encode(), check=False
    )
    assert done.stdout, engine.told(done)
    try:
        found = json.loads(done.stdout)
    except ValueError:
        pytest.fail(f"{path}: no JSON: {done.stdout[:500]!r}")
    assert isinstance(found, dict)
    return found


def interface(node: Container) -> str:
    """The version of the REST interface that the container names at its start."""
    line = next(line for line in node.log().splitlines() if "REST interface: port" in line)
    return line.split("/slurm/")[1].split("/")[0]


def job(api: str) -> dict[str, Any]:
    """A job for the REST interface; its environment became a list in v0.0.39."""
    listed = int(api.rsplit(".", 1)[1]) >= 39
    environment: object = ["PATH=/usr/bin:/bin"] if listed else {"PATH": "/usr/bin:/bin"}
    asked = {"name": "by-rest", "current_working_directory": "/tmp", "environment": environment}
    return {"script": "#!/bin/sh\nid -un\n", "job": asked}


def look(container: Container, template: str) -> str:
    """What the engine knows of a container."""
    return docker("inspect", "-f", template, container.name).stdout.decode().strip()


def account(node: Container, number: int) -> str:
    """What sacct says of a job."""
    fields = "user,jobname,cluster,state,exitcode"
    return node.out("sacct", "-n", "-X", "-P", "-a", "-j", str(number), "-o", fields)


def finished(node: Container, number: int) -> bool:
    return DONE in node.out("sacct", "-n", "-X", "-P", "-j", str(number), "-o", "state").split()


def test_every_service_answers(node: Container, release: str) -> None:
    assert node.out("cat", "/run/slurm-single-node/services").split() == SERVICES
    assert node.out("/usr/lib/slurm-single-node/health") == f"all answer: {' '.join(SERVICES)}"
    assert RELEASES[release] in node.out("scontrol", "--version")
    until(
        lambda: look(node, "{{.State.Health.Status}}") == "healthy",
        40,
        "healthy",
        node.log,
    )


def test_health_check_names_what_is_mute(node: Container) -> None:
    process = node.out("cat", "/run/slurm-single-node/slurmrestd.pid")
    node.run("kill", "-STOP", process)
    try:
        asked = node.run("/usr/lib/slurm-single-node/health", check=False)
    finally:
        node.run("kill", "-CONT", process)
    assert (asked.returncode, asked.stdout.decode().strip()) == (1, "no answer: slurmrestd")


def test_it_asks_for_no_privilege_and_publishes_no_port(node: Container) -> None:
    host = json.loads(docker("inspect", node.name).stdout)[0]["HostConfig"]
    assert host["Privileged"] is False
    assert host["CapAdd"] is None
    assert host["NetworkMode"] != "host"
    assert host["PortBindings"] in (None, {})


def test_it_says_what_its_release_lacks(node: Container, release: str) -> None:
    says = "has no auth/slurm" in node.log()
    assert says == (RELEASES[release] < "23.11")
    assert "is left out" not in node.log()


def test_rest_interface_answers_a_token_and_refuses_another(node: Container) -> None:
    path = f"/slurm/{interface(node)}/ping"
    answer = rest(node, path)
    assert answer["errors"] == []
    assert len(answer["pings"]) == 1
    # Not every release says 401: they answer that slurmctld does not, or in plain words.
    forged = node.token("user1")[:-3] + "AAA"
    headers = ["-H", "X-SLURM-USER-NAME: user1", "-H", f"X-SLURM-USER-TOKEN: {forged}"]
    refused = node.run("curl", "--silent", *headers, f"{REST}{path}").stdout
    assert b'"UP"' not in refused
    assert b'"responding": true' not in refused


def test_a_job_by_rest_runs_and_is_accounted(node: Container) -> None:
    api = interface(node)
    answer = rest(node, f"/slurm/{api}/job/submit", job(api))
    assert answer.get("job_id"), answer
    number = int(answer["job_id"])
    # A new database of 20.11 or 22.05 knows that a job has ended before it knows whose it was.
    right = f"user1|by-rest|single|{DONE}|0:0"
    until(lambda: account(node, number) == right, 60, right, lambda: account(node, number) + node.log())
    assert node.out("cat", f"/tmp/slurm-{number}.out") == "user1"


def test_image_holds_no_key_and_every_container_makes_its_own(node: Container, release: str) -> None:
    script = f"find /etc/munge /etc/slurm /config {STATE} /var/lib/munge /etc/jwt* -type f 2>/dev/null"
    found = docker(
        "run",
        "--rm",
        "--network",
        "none",
        "--entrypoint",
        "sh",
        image("slurm-single-node", release),
        "-c",
        script,
        check=False,
    )
    assert found.stdout == b""
    other = start("other", release, "slurm-single-node", "--network", "none", command=["munged"])
    try:
        wait_ready(other)
        for key in ("munge.key", "jwt.key"):
            path = f"{STATE}/keys/{key}"
            assert node.out("sha256sum", path) != other.out("sha256sum", path)
            assert node.out("stat", "-c", "%a", path) == "600"
    finally:
        engine.remove(other)


def test_no_secret_is_in_the_log(node: Container) -> None:
    node.token("user1")
    assert "eyJ" not in node.log()


def test_it_stops_cleanly_and_its_volume_keeps_the_state(network: str, release: str) -> None:
    kept = engine.volume(f"slurm-kept-{release}")
    words = ["--network", network, "--hostname", "keeper", "-v", f"{kept}:{STATE}"]
    first = start("kept", release, "slurm-single-node", *words)
    try:
        wait_ready(first)
        number = int(
            first.out("sbatch", "--parsable", "-o", "/dev/null", "-D", "/tmp", "--wrap", "true", user="user1")
        )
        until(lambda: finished(first, number), 60, f"job {number} in sacct", first.log)
        keys = first.files(f"{STATE}/keys")
        docker("stop", "-t", "5", first.name)
        assert look(first, "{{.State.ExitCode}}") == "0", first.log()
        assert "killed:" not in first.log()
        for last in ("slurmctld: Saving all slurm state", "mariadbd: Shutdown complete"):
            assert any(
                last.split()[0] in line and last.split(" ", 1)[1] in line for line in first.log().splitlines()
            )
        docker("rm", first.name)
        second = start("kept", release, "slurm-single-node", *words)
        wait_ready(second)
        assert second.files(f"{STATE}/keys") == keys
        assert finished(second, number)
        later = int(
            second.out(
                "sbatch", "--parsable", "-o", "/dev/null", "-D", "/tmp", "--wrap", "true", user="user1"
            )
        )
        assert later > number
    finally:
        engine.remove(first)
        docker("volume", "rm", kept)


def test_a_daemon_that_ends_ends_the_container(release: str) -> None:
    made = start("ends", release, "slurm-single-node", "--network", "none", command=["munged"])
    try:
        wait_ready(made)
        made.run("sh", "-c", "kill -KILL $(cat /run/slurm-single-node/munged.pid)")
        until(lambda: not engine.running(made), 20, "the container stopped", made.log)
        assert "error: munged ended with status 137; nothing is restarted" in made.log()
        assert look(made, "{{.State.ExitCode}}") == "1"
    finally:
        engine.remove(made)


def test_what_is_mounted_is_used(tmp_path: Path, network: str, release: str) -> None:
    """The whole of it with one's own keys and files, and a password for the database."""
    conf = (
        b"ClusterName=mine\nSlurmctldHost=own\nSlurmUser=slurm\nAuthType=auth/munge\nAuthAltTypes=auth/jwt\n"
        b"AuthAltParameters=jwt_key=/var/spool/slurm-keys/jwt.key\nSlurmctldParameters=enable_configless\n"
        b"StateSaveLocation=/var/spool/slurmctld\nSlurmdSpoolDir=/var/spool/slurmd\nProctrackType=proctrack/linuxproc\n"
        b"TaskPlugin=task/none\nReturnToService=2\nAccountingStorageType=accounting_storage/slurmdbd\n"
        b"SelectType=select/cons_tres\nSelectTypeParameters=CR_CPU\n"
        b"NodeName=own CPUs=1\nPartitionName=mine Nodes=own Default=YES\n"
    )
    dbd = (
        b"DbdHost=localhost\nSlurmUser=slurm\nAuthType=auth/munge\nAuthAltTypes=auth/jwt\n"
        b"AuthAltParameters=jwt_key=/var/spool/slurm-keys/jwt.key\nStorageType=accounting_storage/mysql\n"
        b"StorageHost=localhost\nStorageUser=keeper\nStoragePass=it's+secret\nStorageLoc=mine_db\n"
    )
    files = {"munge.key": b"m" * 128, "jwt.key": b"j" * 32, "slurm.conf": conf, "slurmdbd.conf": dbd}
    config = engine.folder(tmp_path, files)
    made = start(
        "mine",
        release,
        "slurm-single-node",
        "--network",
        network,
        "--hostname",
        "own",
        "-v",
        f"{config}:/config:ro",
    )
    try:
        wait_ready(made)
        assert made.run("cat", "/etc/slurm/slurm.conf").stdout == conf
        assert made.run("cat", "/etc/munge/munge.key").stdout == b"m" * 128
        assert made.run("cat", "/var/spool/slurm-keys/jwt.key").stdout == b"j" * 32
        assert made.out("sacctmgr", "-n", "-P", "list", "cluster", "format=cluster") == "mine"
        assert "secret" not in made.log()
        number = int(
            made.out("sbatch", "--parsable", "-o", "/dev/null", "-D", "/tmp", "--wrap", "true", user="user2")
        )
        until(lambda: finished(made, number), 60, f"job {number} in sacct", made.log)
    finally:
        engine.remove(made)


@pytest.mark.parametrize("modern", [name for name, slurm in RELEASES.items() if slurm >= "23.11"])
def test_auth_slurm_instead_of_munge(network: str, modern: str) -> None:
    words = ["--network", network, "--hostname", "sack", "-e", "SLURM_AUTH=slurm"]
    made = start("sack", modern, "slurm-single-node", *words)
    try:
        wait_ready(made)
        services = [name for name in SERVICES if name != "munged"]
        assert made.out("cat", "/run/slurm-single-node/services").split() == services
        number = int(
            made.out("sbatch", "--parsable", "-o", "/dev/null", "-D", "/tmp", "--wrap", "true", user="user1")
        )
        until(lambda: finished(made, number), 60, f"job {number} in sacct", made.log)
    finally:
        engine.remove(made)


def test_it_says_that_slurm_needs_a_network(release: str) -> None:
    done = docker("run", "--rm", "--network", "none", image("slurm-single-node", release), check=False)
    assert done.returncode == 2
    assert "error: this container has no network" in engine.told(done)


def test_a_service_that_does_not_exist_is_refused(release: str) -> None:
    done = docker(
        "run", "--rm", "--network", "none", image("slurm-single-node", release), "slurmclt", check=False
    )
    assert done.returncode == 2
    assert "error: there is no service called slurmclt" in engine.told(done)
