"""Docker keeps the contract of backends, and what a chassis in a container promises besides."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace

import pexpect
import pytest

from lab.backends.docker import assembly
from lab.backends.docker.backend import DockerBackend
from lab.backends.docker.engine import container_name, volume_name
from lab.config import load
from lab.errors import LabError, UsageError
from lab.model import ClusterSpec, Power
from tests.backends.contract import Bed, Contract, silent, small, until

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


def wait_for_home(bed: Bed) -> None:
    """A shell opens before systemd has mounted what /etc/fstab names."""
    until(lambda: bed.run("c1", "mountpoint -q /home").returncode == 0, 30, bed.status)


def wait_ready(bed: Bed) -> None:
    """The SMS has set itself up, and c1 has what it gives out now."""
    bed.wait_for("sms")
    until(lambda: bed.run("sms", "test -s /run/rackling/ready").returncode == 0, 60, bed.status)
    assert '"ok"' in bed.must("sms", "cat /run/rackling/ready")
    until(lambda: bed.run("sms", "ssh -oBatchMode=yes c1 true").returncode == 0, 60, bed.status)
    until(lambda: bed.run("c1", "munge -n").returncode == 0, 30, bed.status)


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


@pytest.fixture(scope="module")
def bed() -> Iterator[Bed]:
    """One small lab for all of these tests; nothing of it is left afterwards."""
    made = Bed(DockerBackend(), small(load, LAB, compute=1))
    made.backend.delete(LAB, silent)
    yield made
    made.backend.delete(LAB, silent)
    assert not left_of(LAB)


class TestDocker(Contract):
    @pytest.fixture
    def larger(self) -> ClusterSpec:
        return small(load, LAB, compute=2)

    @pytest.fixture
    def folder(self, up: Bed) -> str:
        up.must("c1", "mkdir -p /run/contract")
        return "/run/contract"

    @pytest.fixture
    def up(self, bed: Bed) -> Bed:
        bed.backend.create(bed.spec, silent)
        bed.backend.start(LAB, ["sms", "c1"])
        bed.wait_for("sms", "c1")
        wait_for_home(bed)
        until(lambda: bed.run("sms", "test -s /run/rackling/ready").returncode == 0, 30, bed.status)
        return bed

    # shells

    @pytest.mark.parametrize("user", ["root", "user1"])
    def test_commands_run_as_a_login_of_the_user(self, up: Bed, user: str) -> None:
        home = "/root" if user == "root" else f"/home/{user}"
        assert up.must("sms", "id -un; pwd", user=user).split() == [user, home]
        assert up.run("c1", "cat >copied; exit 3", user=user, stdin=b"x\0y").returncode == 3
        assert up.run("c1", "cat copied", user=user).stdout == b"x\0y"

    def test_nothing_in_a_node_may_set_the_clock_of_the_host(self, up: Bed) -> None:
        for node in ("sms", "c1"):
            bounding = int(up.must(node, "sed -n 's/^CapBnd:\\s*//p' /proc/self/status"), 16)
            assert not bounding & 1 << 25  # CAP_SYS_TIME

    def test_a_command_on_a_terminal_hears_ctrl_c(self, up: Bed) -> None:
        argv = up.backend.shell(
            LAB, "c1", ["sh", "-c", "tty; echo going; sleep 1000"], user="user1", tty=True
        )
        child = pexpect.spawn(argv[0], argv[1:], timeout=20, encoding="utf-8")
        child.expect("/dev/(pts/[0-9]+|console)\r\n")
        child.expect_exact("going\r\n")
        child.sendintr()
        child.expect(pexpect.EOF)
        child.close()
        assert (child.exitstatus, child.signalstatus) != (0, None)
        assert up.run("c1", "pgrep -f '[s]leep 1000'").returncode == 1

    def test_a_login_shell_on_a_terminal_answers_and_ends(self, up: Bed) -> None:
        argv = up.backend.shell(LAB, "sms", None, user="root", tty=True)
        child = pexpect.spawn(argv[0], argv[1:], timeout=20, encoding="utf-8")
        child.expect_exact("# ")  # login(1) throws away what was typed before
        child.sendline("echo $((40 + 2))-$(id -un)-$(hostname)")
        child.expect_exact("42-root-sms")
        child.sendline("echo going-$((1 + 1)); sleep 1000")
        child.expect_exact("going-2")
        child.sendintr()
        child.sendline("echo again-$((6 * 7)); exit")
        child.expect_exact("again-42")
        child.expect(pexpect.EOF)
        child.close()
        assert child.exitstatus == 0

    def test_the_console_keeps_what_the_node_wrote(self, up: Bed) -> None:
        text = b"".join(up.backend.console(LAB, "c1", follow=False))
        assert b"rackling chassis c1" in text
        assert b"iPXE" in text
        last = b"".join(up.backend.console(LAB, "c1", follow=False, tail=1))
        assert last
        assert text.endswith(last)

    def test_copying_what_is_not_there_says_so(self, up: Bed) -> None:
        with pytest.raises(LabError) as caught:
            up.backend.copy_out(LAB, "c1", "/no/such/file")
        assert "/no/such" in str(caught.value)

    # snapshots

    def test_restore_brings_back_disk_and_shared_storage(self, up: Bed) -> None:
        up.must("sms", "echo old >/root/file; echo old >/root/before; echo old >/home/user1/before")
        up.backend.snapshot(LAB, "first", silent)
        up.must("sms", "echo new >/root/file; touch /root/after /home/user1/after; rm /home/user1/before")
        up.backend.restore(LAB, "first", silent)
        up.wait_for("sms", "c1")
        assert up.must("sms", "cat /root/file /root/before /home/user1/before").split() == ["old"] * 3
        wait_for_home(up)
        assert up.must("c1", "cat /home/user1/before", user="user1") == "old"
        assert up.run("sms", "ls /root/after || ls /home/user1/after").returncode != 0
        assert up.run("c1", "ls /home/user1/after").returncode != 0

    def test_a_snapshot_of_the_same_name_replaces_the_former(self, up: Bed) -> None:
        for word in ("one", "two"):
            up.must("sms", f"echo {word} >/root/word; echo {word} >/home/word")
            up.backend.snapshot(LAB, "again", silent)
        up.backend.snapshot(LAB, "again.new", silent)  # a name beside it harms neither
        assert up.backend.snapshots(LAB).count("again") == 1
        up.must("sms", "echo three >/root/word; echo three >/home/word")
        up.backend.restore(LAB, "again", silent)
        up.wait_for("sms")
        assert up.must("sms", "cat /root/word /home/word").split() == ["two", "two"]

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
        up.backend.restore(LAB, "handout", silent, borrowed=True)
        wait_ready(up)
        borrowed = [up.must("sms", f"cat {path}") for path in SECRETS]
        assert not set(borrowed) & set(own)
        up.must("sms", "cp -a /opt/ohpc/admin/images/debian13 /opt/ohpc/admin/images/other")
        up.must("sms", "wwvnfs --chroot /opt/ohpc/admin/images/other")
        up.must("sms", "wwsh -y provision set c1 --vnfs other")
        up.must("sms", "for f in /root /home/user1 /opt/ohpc/pub; do echo made >$f/made; done")
        try:
            up.backend.keep(LAB, "after-contract", silent)
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
            up.backend.drop(["after-contract"])

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

    def test_names_that_are_no_snapshots_are_refused(self, up: Bed) -> None:
        for name in ("handout", "../x", "-x", "A", "", "a b", "x" * 65):
            with pytest.raises(UsageError):
                up.backend.snapshot(LAB, name, silent)
        with pytest.raises(UsageError) as caught:
            up.backend.restore(LAB, "never-taken", silent)
        assert "handout" in caught.value.evidence

    # what may happen to a lab

    def test_the_same_lab_comes_back_after_a_reboot_of_the_host(self, up: Bed) -> None:
        up.must("sms", "echo mine >/root/kept; echo mine >/home/user1/kept")
        names = docker("ps", "-q", "--filter", f"label=rackling.lab={LAB}").split()
        docker("stop", "-t", "20", *names)
        assert {status.power for status in up.status().values()} == {Power.OFF}
        up.backend.create(up.spec, silent)
        up.wait_for("sms", "c1")
        assert up.must("sms", "cat /root/kept /home/user1/kept").split() == ["mine", "mine"]
        wait_for_home(up)
        assert up.must("c1", "cat /home/user1/kept") == "mine"

    def test_a_node_that_was_off_is_off_after_a_reboot_of_the_host(self, up: Bed) -> None:
        up.backend.stop(LAB, ["c1"], hard=True)
        up.wait_off("c1")
        docker("restart", "-t", "20", container_name(LAB, "c1"))
        up.backend.create(up.spec, silent)
        up.wait_for("sms")
        assert up.status()["c1"].power is Power.OFF

    def test_a_lost_switch_is_replaced_and_every_cable_with_it(self, up: Bed) -> None:
        up.must("sms", "echo mine >/root/kept")
        docker("rm", "-f", container_name(LAB, "switch"))
        up.backend.create(up.spec, silent)
        up.wait_for("sms", "c1")
        assert up.must("sms", "cat /root/kept") == "mine"
        up.must("c1", "bash -c ': </dev/tcp/172.16.0.1/22'")

    def test_a_new_node_joins_and_the_others_notice_nothing(self, up: Bed, larger: ClusterSpec) -> None:
        up.must("c1", "touch /run/same-boot")
        grown = replace(up, spec=larger)
        up.backend.create(larger, silent)
        grown.wait_for("c2")
        up.must("c1", "test -e /run/same-boot")
        assert "c2" in up.must("sms", "wwsh node list").split()
        states = "sinfo -hN -o '%N=%t'"
        until(lambda: "c2=idle" in up.must("sms", states).split(), 40, lambda: up.must("sms", states))
        assert up.must("sms", "ssh c1 hostname").strip() == "c1"
        up.backend.create(up.spec, silent)
        assert '"c2"' not in up.must("sms", "cat /etc/rackling/cluster.json")

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
