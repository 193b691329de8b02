"""Docker keeps the contract of backends, and what a chassis in a container promises besides."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace

import pytest

from lab.backends.actions import Verb, nodes_of
from lab.backends.docker import assembly
from lab.backends.docker.backend import DockerBackend
from lab.backends.docker.engine import container_name, volume_name
from lab.cluster.plan import work
from lab.config.loader import load
from lab.model import Power
from tests.backends.contract import (
    Bed,
    RealContract,
    silent,
    small,
    until,
    wait_for_home,
    wait_ready,
    with_memory,
)

pytestmark = pytest.mark.engine
LAB = "hlcontract"
SECRETS = (
    "/etc/rackling/credentials.json",
    "/etc/ssh/ssh_host_ed25519_key",
    "/root/.ssh/cluster",
    "/home/user1/.ssh/id_ed25519",
    "/etc/warewulf/vnfs/ssh/ssh_host_ed25519_key",
    "/etc/munge/munge.key | base64 -w0",
    "/etc/slurm/jwt_hs256.key | base64 -w0",
)


def docker(*words: str) -> str:
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=True, timeout=120).stdout


def left_of(lab: str) -> list[str]:
    """Everything that the engine has of a lab."""
    mine = f"label=rackling.lab={lab}"
    listings = (("ps", "-aq"), ("volume", "ls", "-q"), ("images", "-aq"))
    return [line for words in listings for line in docker(*words, "--filter", mine).split()]


def found_in(image: str, secrets: list[str]) -> list[str]:
    """Those of these texts that are in a file of an image, whatever its name."""
    made = docker("create", image, "true").strip()
    try:
        tree = subprocess.run(["docker", "export", made], capture_output=True, check=True, timeout=300).stdout
    finally:
        docker("rm", made)
    assert len(tree) > 100 << 20
    return [text for text in secrets if text.encode() in tree or from_base64(text) in tree]


def from_base64(text: str) -> bytes:
    """The bytes that a text of base64 stands for; itself where it is none."""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return text.encode()


def container_id(node: str) -> str:
    return docker("inspect", "--format", "{{.Id}}", container_name(LAB, node)).strip()


@pytest.fixture(scope="module")
def bed() -> Iterator[Bed]:
    """One small lab for all of these tests; nothing of it is left afterwards."""
    made = Bed(DockerBackend(), small(load, LAB, compute=1), identify=container_id)
    made.backend.delete(LAB, silent)
    yield made
    made.backend.delete(LAB, silent)
    assert not left_of(LAB)


class TestDocker(RealContract):
    def test_nothing_in_a_node_may_set_the_clock_of_the_host(self, up: Bed) -> None:
        for node in ("sms", "c1"):
            bounding = int(up.must(node, "sed -n 's/^CapBnd:\\s*//p' /proc/self/status"), 16)
            assert not bounding & 1 << 25  # CAP_SYS_TIME

    # snapshots

    def test_restore_works_with_a_broken_sms_and_a_stopped_one(self, up: Bed) -> None:
        up.must("sms", "echo mine >/root/file")
        up.backend.snapshot(LAB, "good", silent)
        up.must("sms", "rm -rf /etc/systemd /usr/lib/systemd /usr/lib/python3")
        up.backend.restore(LAB, "good", silent)
        up.wait_for("sms", "c1")
        docker("stop", "-t", "0", *(container_name(LAB, part) for part in ("sms", "c1", "switch")))
        up.backend.restore(LAB, "good", silent)
        up.wait_for("sms", "c1")
        assert up.must("sms", "cat /root/file") == "mine"

    def test_handout_is_the_first_state_with_the_same_credentials(self, up: Bed) -> None:
        secrets = "/etc/rackling/credentials.json /etc/munge/munge.key /etc/ssh/ssh_host_ed25519_key"
        kept = f"cat {secrets} | sha256sum"
        before = up.must("sms", kept)
        up.must("sms", "touch /root/mine /home/user2/mine; wwsh -y node delete c1")
        up.must("sms", "echo x >/etc/slurm/slurm.conf")
        up.backend.restore(LAB, "handout", silent)
        up.wait_for("sms", "c1")
        assert up.must("sms", kept) == before
        assert up.run("sms", "ls /root/mine || ls /home/user2/mine").returncode != 0
        until(lambda: "idle" in up.must("sms", "sinfo -hN -n c1 || true"), 30, up.status)

    def test_a_start_state_holds_no_secret_of_its_maker_and_suits_it_all_the_same(self, up: Bed) -> None:
        own = [up.must("sms", f"cat {path}") for path in SECRETS]
        up.backend.restore(LAB, "handout", silent, ephemeral_identity=True)
        wait_ready(up)
        ephemeral_identity = [up.must("sms", f"cat {path}") for path in SECRETS]
        assert not set(ephemeral_identity) & set(own)
        up.must("sms", "cp -a /opt/ohpc/admin/images/debian13 /opt/ohpc/admin/images/other")
        up.must("sms", "wwvnfs --chroot /opt/ohpc/admin/images/other")
        up.must("sms", "wwsh -y provision set c1 --vnfs other")
        up.must("sms", "for f in /root /home/user1 /opt/ohpc/pub; do echo made >$f/made; done")
        try:
            DockerBackend().shared_states.save(LAB, "after-contract", silent)
            passwords = [user["password"] for user in json.loads(own[0])["users"]]
            assert not found_in("rackling/state:after-contract", own + passwords)
            up.backend.restore(LAB, "after-contract", silent)
            wait_ready(up)
            assert [up.must("sms", f"cat {path}") for path in SECRETS] == own
            assert (
                up.must("sms", "cat /root/made /home/user1/made /opt/ohpc/pub/made").split() == ["made"] * 3
            )
            assert "other" in up.must("sms", "wwsh provision print c1")
            up.must("sms", "munge -n | ssh -oBatchMode=yes c1 unmunge")
            up.must("c1", "munge -n | ssh -oBatchMode=yes sms unmunge", user="user1")
            assert up.must("sms", "getent shadow user1") == up.must("c1", "getent shadow user1")
        finally:
            DockerBackend().shared_states.delete(["after-contract"])

    def test_a_restore_that_was_cut_short_is_known_and_can_be_done_again(
        self, up: Bed, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def cut(*_: object) -> None:
            raise KeyboardInterrupt

        up.must("sms", "echo mine >/root/file")
        up.backend.snapshot(LAB, "mine", silent)
        monkeypatch.setattr("lab.backends.docker.snapshots.empty_storage", cut)
        with pytest.raises(KeyboardInterrupt):
            up.backend.restore(LAB, "mine", silent)
        monkeypatch.undo()
        assert up.pending() == "mine"
        up.backend.restore(LAB, "mine", silent)
        up.wait_for("sms", "c1")
        assert up.pending() == ""
        assert up.must("sms", "cat /root/file") == "mine"

    # what may happen to a lab

    def test_the_same_lab_comes_back_after_a_reboot_of_the_host(self, up: Bed) -> None:
        up.must("sms", "echo mine >/root/kept; echo mine >/home/user1/kept")
        names = docker("ps", "-q", "--filter", f"label=rackling.lab={LAB}").split()
        docker("stop", "-t", "20", *names)
        assert {status.power for status in up.status().values()} == {Power.OFF}
        up.up()
        up.wait_for("sms", "c1")
        assert up.must("sms", "cat /root/kept /home/user1/kept").split() == ["mine", "mine"]
        wait_for_home(up)
        assert up.must("c1", "cat /home/user1/kept") == "mine"

    def test_a_node_that_was_off_is_off_after_a_reboot_of_the_host(self, up: Bed) -> None:
        up.backend.stop(LAB, ["c1"], hard=True)
        up.wait_off("c1")
        docker("restart", "-t", "20", container_name(LAB, "c1"))
        up.up("sms")
        up.wait_for("sms")
        assert up.status()["c1"].power is Power.OFF

    def test_a_lost_switch_is_replaced_and_every_cable_with_it(self, up: Bed) -> None:
        up.must("sms", "echo mine >/root/kept")
        docker("rm", "-f", container_name(LAB, "switch"))
        planned = up.up()
        assert set(nodes_of(planned, Verb.RESTART)) == {node.name for node in up.spec.nodes}
        up.wait_for("sms", "c1")
        assert up.must("sms", "cat /root/kept") == "mine"
        up.must("c1", "bash -c ': </dev/tcp/172.16.0.1/22'")

    def test_a_client_learns_the_names_of_new_nodes_and_goes_on_running(self, up: Bed) -> None:
        up.must("client", "touch /root/mine")
        grown = replace(up, spec=small(load, LAB, compute=2))
        planned = grown.up()
        assert "client" in nodes_of(planned, Verb.CHANGE)
        assert "c2" in up.must("client", "cat /etc/hosts")
        up.must("client", "test -e /root/mine")
        up.backend.stop(LAB, ["client"], hard=True)
        up.wait_off("client")
        up.backend.start(LAB, ["client"])
        up.wait_for("client")
        assert "c2" in up.must("client", "cat /etc/hosts")
        up.up()
        assert "c2" not in up.must("client", "cat /etc/hosts")

    def test_an_sms_changes_its_size_in_place(self, up: Bed) -> None:
        larger = replace(up, spec=with_memory(up.spec, "sms", up.spec.sms.memory + 256))
        planned = [action.text for action in work(larger.up())]
        before, after = up.spec.sms.memory, larger.spec.sms.memory
        assert planned == [f"change sms: memory {before} → {after}, description of the cluster"]
        assert not work(larger.cluster.plan())
        up.up()

    def test_a_volume_alone_is_still_a_lab_that_can_be_taken_away(self, up: Bed) -> None:
        del up
        spec = small(load, "hlorphan", compute=1)
        backend = DockerBackend()
        try:
            docker(
                "volume", "create", volume_name("hlorphan", "home"),
                *(f"--label={key}={value}" for key, value in assembly.labels(spec, "volume").items()),
            )  # fmt: skip
            found = {record.lab: record for record in backend.labs()}["hlorphan"]
            assert (found.nodes, found.running, found.spec) == ((), 0, spec)
        finally:
            backend.delete("hlorphan", silent)
        assert "hlorphan" not in {record.lab for record in backend.labs()}
        assert not left_of("hlorphan")
