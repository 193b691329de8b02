"""Two controllers with one state: standby, takeover, return, and a restart while `siphon` watches."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.slurm import engine
from tests.slurm.engine import USER_UID, Container, docker, folder, start, told, until, wait_ready

STANDBY = 17
ADDRESSES = {"one": "198.51.100.201", "two": "198.51.100.202"}
"""Known by file: the network's name server forgets a container that is stopped."""
CHANGED = b"# changed while it was down\n"
CONF = b"""\
ClusterName=pair
SlurmctldHost=one
SlurmctldHost=two
SlurmctldTimeout=2
SlurmUser=slurm
AuthType=auth/munge
AuthAltTypes=auth/jwt
AuthAltParameters=jwt_key=/etc/slurm/jwt_hs256.key
SlurmctldParameters=enable_configless
StateSaveLocation=/shared/state
SlurmdSpoolDir=/var/spool/slurmd
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
NodeName=n1 NodeAddr=127.0.0.1 CPUs=1
PartitionName=p Nodes=n1 Default=YES
"""


@dataclass(frozen=True)
class Trio:
    """Two controllers and a client in a network of their own."""

    one: Container
    two: Container
    client: Container
    config: Path

    def siphon(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        """Runs siphon as an ordinary user; the token stands in a file of the client's."""
        return self.client.run(
            "siphon",
            "--auth",
            "jwt",
            "--token-file",
            "/tmp/token",
            "-o",
            "/tmp/out",
            *words,
            user=USER_UID,
            check=False,
        )

    def answers(self, name: str) -> bool:
        return self.siphon(name).returncode == 0

    def log(self) -> str:
        return self.one.log() + self.two.log()


@pytest.fixture(scope="module")
def trio(network: str, release: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trio]:
    keys = {"munge.key": b"pair!" * 100, "jwt.key": b"0123456789abcdef" * 2}
    config = folder(tmp_path_factory.mktemp(release), {**keys, "slurm.conf": CONF})
    shared = engine.volume(f"slurm-shared-{release}")
    known = ["--network", network]
    for name, address in ADDRESSES.items():
        known += ["--add-host", f"{name}:{address}"]
    made: list[Container] = []
    try:
        for name, address in ADDRESSES.items():
            words = ["--ip", address, "--hostname", name, "-v", f"{config}:/config:ro"]
            words += ["-v", f"{shared}:/shared"]
            control = ["munged", "slurmctld"]
            made.append(start(name, release, "slurm-single-node", *known, *words, command=control))
            wait_ready(made[-1])
        words = ["--entrypoint", "sleep"]
        made.append(start("third", release, "slurm-client", *known, *words, command=["infinity"]))
        made[2].put("/tmp/token", made[0].token("user1", 3600).encode(), "400")
        made[2].run("chown", str(USER_UID), "/tmp/token")
        yield Trio(made[0], made[1], made[2], config)
    finally:
        for container in reversed(made):
            engine.remove(container)
        docker("volume", "rm", shared, check=False)


def test_a_standby_controller_sends_siphon_on(trio: Trio) -> None:
    done = trio.siphon("two")
    assert done.returncode == STANDBY, told(done)
    done = trio.siphon("two", "one")
    assert done.returncode == 0, told(done)
    assert trio.client.run("cat", "/tmp/out/slurm.conf").stdout == CONF


def test_a_takeover_and_a_return_in_the_middle(trio: Trio) -> None:
    docker("stop", "-t", "5", trio.one.name)
    until(lambda: trio.siphon("one", "two").returncode == 0, 60, "two has taken over", trio.log)
    assert trio.client.run("cat", "/tmp/out/slurm.conf").stdout == CONF
    docker("start", trio.one.name)
    until(lambda: trio.answers("one"), 60, "one is back in charge", trio.log)
    until(lambda: trio.siphon("two").returncode == STANDBY, 60, "two stands by again", trio.log)


def whole(client: Container) -> bool:
    """Whether the configuration has been fetched."""
    return client.run("test", "-s", "/tmp/out/slurm.conf", check=False).returncode == 0


def test_watch_lives_through_a_restart(trio: Trio) -> None:
    """The change of the meantime arrives, the folder is whole at every moment, and SIGTERM ends the watch."""
    siphon = "siphon --auth jwt --quiet --token-file /tmp/token -o /tmp/out --watch 1 one"
    watch = f"{siphon} & echo $! >/tmp/watch.pid; wait $!; echo $? >/tmp/watch.rc"
    looks = "while [ ! -e /tmp/stop ]; do [ -s /tmp/out/slurm.conf ] || echo gone >>/tmp/gone; done"
    trio.client.run("rm", "-rf", "/tmp/out")
    docker("exec", "-d", "-u", str(USER_UID), trio.client.name, "sh", "-c", watch)
    until(lambda: whole(trio.client), 60, "the watch has fetched", trio.log)
    docker("exec", "-d", "-u", str(USER_UID), trio.client.name, "sh", "-c", looks)
    try:
        docker("stop", "-t", "5", trio.one.name)
        (trio.config / "slurm.conf").write_bytes(CONF + CHANGED)
        trio.client.run("sleep", "2")  # at least one look of the watch finds nobody in charge
        assert trio.client.run("cat", "/tmp/out/slurm.conf").stdout == CONF
        docker("start", trio.one.name)
        until(
            lambda: CHANGED in trio.client.run("cat", "/tmp/out/slurm.conf").stdout,
            60,
            "the change arrived",
            trio.log,
        )
        trio.client.run("sh", "-c", "kill $(cat /tmp/watch.pid)")
        until(
            lambda: trio.client.run("test", "-s", "/tmp/watch.rc", check=False).returncode == 0,
            10,
            "the watch ended",
            str,
        )
    finally:
        trio.client.run("touch", "/tmp/stop")
    assert trio.client.out("cat", "/tmp/watch.rc") == "0"
    assert trio.client.run("test", "-e", "/tmp/gone", check=False).returncode == 1
