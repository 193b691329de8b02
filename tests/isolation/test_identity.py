"""Keys, passwords and names of a lab end with it, and two users of one engine do not spoil each other's labs.

Two users are two sets of folders here. A process of another host is a ticket that names one.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lab.backends.docker.backend import DockerBackend
from lab.backends.docker.engine import HOLDER, LOCKED
from lab.cluster.cluster import Cluster
from lab.errors import Exit
from lab.lock_holder import this_place, this_process
from tests.cases.conftest import COMMAND, ONE_NODE, Lab

SMALL = ONE_NODE.replace("count = 1", "count = 0")
STATE = f"identity-{os.getpid()}"
TRIES = 3  # of a race that was lost in one of two before
IDENTITY = """cat /etc/machine-id /etc/ssh/ssh_host_ed25519_key.pub
grep ^user1: /etc/shadow
for file in etc/munge/munge.key etc/slurm/jwt_hs256.key root/.ssh/cluster; do md5sum </$file; done
for file in etc/machine-id etc/ssh/ssh_host_ed25519_key etc/munge/munge.key; do ssh c1 "md5sum </$file"; done
md5sum </home/user1/.ssh/id_ed25519"""
FACTS = 10  # lines


def docker(*words: str) -> list[str]:
    done = subprocess.run(["docker", *words], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.split()


def volumes(lab: Lab) -> list[str]:
    return [name for name in docker("volume", "ls", "-q") if name.startswith(f"rackling-{lab.name}-")]


def tickets(lab: Lab) -> list[str]:
    return docker("volume", "ls", "-q", "--filter", f"label={LOCKED}={lab.name}")


def of_user(lab: Lab, folder: Path) -> Lab:
    """The same lab, for a user with folders of their own."""
    folders = {f"XDG_{kind}_HOME": str(folder / kind) for kind in ("DATA", "STATE", "CACHE", "RUNTIME")}
    return replace(lab, environ={**lab.environ, **folders, "XDG_RUNTIME_DIR": str(folder / "run")})


def make(name: str, folder: Path, config: str) -> Iterator[Lab]:
    (folder / "lab.toml").write_text(config)
    made = Lab(f"{name}{os.getpid()}", folder=folder)
    try:
        yield made
    finally:
        made.run("down", "-y")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Lab]:
    """A lab of a head node alone, not made yet."""
    yield from make("isoi", tmp_path, SMALL)


def up(lab: Lab) -> None:
    done = lab.run("up", "-y")
    assert done.returncode == 0, done.stderr.decode()


def password(lab: Lab) -> str:
    found: dict[str, list[dict[str, str]]] = json.loads(lab.run("credentials", "--json").stdout)
    return next(user["password"] for user in found["users"] if user["name"] == "user1")


def test_up_and_down_of_two_users_at_once_leave_nothing(small: Lab, tmp_path: Path) -> None:
    one, two = of_user(small, tmp_path / "one"), of_user(small, tmp_path / "two")
    passwords = set()
    for number in range(TRIES):
        up(one)
        passwords.add(password(two))
        change = threading.Thread(target=one.run, args=("up", "-y", "--set", "c.count=1", "--no-wait"))
        change.start()
        time.sleep(0.15 * number)
        ended = two.run("down", "-y")
        change.join()
        assert ended.returncode in (Exit.OK, Exit.LOCKED), ended.stderr.decode()
        if ended.returncode == Exit.LOCKED:
            assert b"another command is changing lab" in ended.stderr
            assert b"(process " in ended.stderr
        assert two.run("down", "-y").returncode == Exit.OK
        assert volumes(small) == []
    assert len(passwords) == TRIES
    assert tickets(small) == []


def test_a_lab_that_a_killed_command_had_locked_is_free(small: Lab) -> None:
    command = [*COMMAND, "up", "-l", small.name, "-y"]
    holder = subprocess.Popen(command, env=dict(small.environ), cwd=small.folder, stderr=subprocess.DEVNULL)
    while not tickets(small):
        time.sleep(0.02)
    refused = small.run("down", "-y")
    if refused.returncode != Exit.OK:  # there was something to remove already
        assert f"lab up -l {small.name} -y (process {holder.pid} of ".encode() in refused.stderr
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    up(small)
    assert tickets(small) == []


def test_a_lab_that_another_host_is_changing_is_refused(small: Lab) -> None:
    place = replace(this_place(), host="teach2", boot="another", machine="another")
    holder = replace(this_process("lab up", time.time()), place=place, account="alice")
    labels = [f"{LOCKED}={small.name}", f"{HOLDER}={holder.to_json()}"]
    ticket = f"rackling_lock_{0:020d}{os.getpid()}"
    docker("volume", "create", *(word for label in labels for word in ("--label", label)), ticket)
    try:
        refused = small.run("up", "-y")
    finally:
        docker("volume", "rm", ticket)
    assert refused.returncode == Exit.LOCKED
    assert b" of alice on teach2) has held the lock for " in refused.stderr


@pytest.mark.parametrize("marks", [[], ["--label", "somebody=else"]], ids=["bare", "labelled"])
def test_a_volume_that_only_has_its_name_is_refused_and_never_lost_unasked(
    small: Lab, marks: list[str]
) -> None:
    (left,) = docker("volume", "create", *marks, f"rackling-{small.name}-identity")
    try:
        refused = small.run("up", "-y")
        assert refused.returncode == Exit.BROKEN
        assert f"volume {left}" in refused.stderr.decode()
        assert f"docker volume inspect {left}" in refused.stderr.decode()
        assert volumes(small) == [left]
        asked = small.run("down")  # nobody can be asked
        assert asked.returncode == (Exit.USAGE if not marks else Exit.OK)
        assert volumes(small) == [left]
        removed = small.run("down", "-y")
        assert removed.returncode == Exit.OK
        assert (f"without its label: volume {left}" in removed.stderr.decode()) == (not marks)
        assert volumes(small) == ([left] if marks else [])
    finally:
        docker("volume", "rm", "-f", left)


def test_start_states_are_listed_without_a_lab(small: Lab) -> None:
    listed = small.run("snapshot", "--list", "--json")
    assert listed.returncode == Exit.OK
    assert json.loads(listed.stdout)["snapshots"] == []


def test_labs_of_one_start_state_have_nothing_of_each_other(tmp_path: Path) -> None:
    (tmp_path / "lab.toml").write_text(ONE_NODE)
    backend = DockerBackend()
    labs = [Lab(f"iso{letter}{os.getpid()}", folder=tmp_path) for letter in "st"]
    found: list[list[str]] = []
    try:
        for lab in labs:
            up(lab)
            spec = next(record.spec for record in backend.labs() if record.lab == lab.name)
            assert spec is not None
            with Cluster(spec, backend) as cluster:
                if lab is labs[0]:
                    cluster.restore("handout", ephemeral_identity=True)
                    found.append(facts(lab))
                    cluster.save_state(STATE)
                cluster.restore(STATE)
            found.append(facts(lab))
    finally:
        for lab in labs:
            lab.run("down", "-y")
        gone = labs[0].run("snapshot", "--delete", STATE)
    assert gone.returncode == Exit.OK, gone.stderr.decode()
    for different in zip(*found, strict=True):
        assert len(set(different)) == 3, different


def facts(lab: Lab) -> list[str]:
    """What identifies a lab, one thing a line: of its SMS, of c1 and of a user."""
    status, text = lab.on("sms", IDENTITY)
    assert status == 0, text
    lines = text.splitlines()
    assert len(lines) == FACTS, text
    return lines
