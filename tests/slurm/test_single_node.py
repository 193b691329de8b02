"""The image slurm-single-node: what `docker run` alone gives, for each release."""

from __future__ import annotations

import json
import subprocess
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


@pytest.mark.quick
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


def health(container: Container) -> subprocess.CompletedProcess[bytes]:
    return container.run("/usr/lib/slurm-single-node/health", check=False)


def kill(container: Container, service: str) -> None:
    container.run("sh", "-c", f"kill -KILL $(cat /run/slurm-single-node/{service}.pid)")


def restarts(container: Container, service: str) -> int:
    """How often the container says that it has restarted a service."""
    return container.log().count(f"slurm-single-node: {service} is restarted")


def kill_and_await(container: Container, service: str, seconds: float) -> None:
    """Kills a service and waits until it is restarted and answers."""
    before = restarts(container, service)
    kill(container, service)
    until(
        lambda: restarts(container, service) > before and health(container).returncode == 0,
        seconds,
        f"{service} restarted",
        container.log,
    )


def submit(node: Container, *words: str) -> str:
    """Submits as user1 and gives the number; the output lands in /tmp/out.NUMBER."""
    return node.out("sbatch", "--parsable", "-D", "/tmp", "-o", "/tmp/out.%j", *words, user="user1")


def test_daemons_that_end_are_restarted_and_a_running_job_lives_on(node: Container) -> None:
    """An end costs the others nothing, and is shown by the log and by the health check."""
    number = int(submit(node, "--wrap", "sleep 12; echo whole"))
    state = ("squeue", "-h", "-j", str(number), "-o", "%T")
    until(lambda: node.out(*state) == "RUNNING", 20, "running", node.log)
    # What slurmctld has not saved when it is killed, it does not know afterwards: it saves every few seconds.
    node.run("scontrol", "update", f"jobid={number}", "name=known-as-running")
    saved = ("grep", "-q", "known-as-running", f"{STATE}/slurmctld/job_state")
    until(lambda: node.run(*saved, check=False).returncode == 0, 20, "the job's state saved", node.log)
    for service in ("slurmd", "slurmctld", "munged", "slurmdbd", "mariadbd"):
        before = restarts(node, service)
        kill_and_await(node, service, 60)
        assert f"error: {service} ended with status 137; it is restarted in" in node.log()
        shown = f"{service} restarted {before + 1}x; it last ended with status 137 at"
        assert shown in engine.told(health(node))
    until(lambda: finished(node, number), 60, f"job {number} in sacct", node.log)
    assert node.out("cat", f"/tmp/out.{number}") == "whole"


def test_a_request_that_ends_slurmrestd_ends_nothing_else(node: Container) -> None:
    """Some releases abort at a valid GET; the next request is answered all the same."""
    api = interface(node)
    secret = node.token("user1")
    headers = f'header = "X-SLURM-USER-NAME: user1"\nheader = "X-SLURM-USER-TOKEN: {secret}"\n'
    asked = f'{headers}url = "{REST}/slurmdb/{api}/jobs/?groups=user1"\n'
    started = look(node, "{{.State.StartedAt}}")
    node.run("curl", "--silent", "--max-time", "20", "--config", "-", stdin=asked.encode(), check=False)
    kept = node.run("pgrep", "-x", "slurmrestd", check=False).returncode == 0
    if kept:
        before = restarts(node, "slurmrestd")
        kill(node, "slurmrestd")
        until(lambda: restarts(node, "slurmrestd") > before, 20, "slurmrestd restarted", node.log)
    until(lambda: health(node).returncode == 0, 60, "all answer", node.log)
    assert rest(node, f"/slurm/{api}/ping")["errors"] == []
    assert look(node, "{{.State.StartedAt}}") == started


def test_a_daemon_that_ends_again_and_again_is_restarted_ever_later(release: str) -> None:
    made = start("ends", release, "slurm-single-node", "--network", "none", "-m", "700m", command=["munged"])
    try:
        wait_ready(made)
        for _ in range(3):
            kill_and_await(made, "munged", 20)
        ends = [line for line in made.log().splitlines() if line.startswith("error: munged ended")]
        assert ["1 s" in ends[0], "2 s" in ends[1], "4 s" in ends[2]] == [True, True, True], ends
        assert " RealMemory=700 " in made.out("cat", "/etc/slurm/slurm.conf")
    finally:
        engine.remove(made)


@pytest.mark.quick
@pytest.mark.parametrize("option", ["--export=NONE", "--export=COLOUR=blue", "--get-user-env"])
def test_a_job_without_the_callers_environment_runs(node: Container, option: str) -> None:
    """slurmd 24.11 wants namespaces for it, which this container may not make."""
    before = restarts(node, "slurmd")
    number = submit(node, "-W", option, "--wrap", "id -un; echo $HOME ${COLOUR-none} ${LD_PRELOAD-none}")
    colour = "blue" if "COLOUR" in option else "none"
    assert node.out("cat", f"/tmp/out.{number}").split() == ["user1", "/home/user1", colour, "none"]
    assert restarts(node, "slurmd") == before


def test_jobs_may_ask_for_memory_and_find_python(node: Container) -> None:
    number = submit(node, "-W", "--mem", "300", "--wrap", "srun python3 -c 'print(6 * 7)'")
    assert node.out("cat", f"/tmp/out.{number}") == "42"
    all_of_it = int(node.out("awk", "/^MemTotal:/ {print int($2 / 1024)}", "/proc/meminfo"))
    refused = node.run("sbatch", f"--mem={all_of_it + 1}", "--wrap", "true", user="user1", check=False)
    assert "Memory specification can not be satisfied" in engine.told(refused)


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
