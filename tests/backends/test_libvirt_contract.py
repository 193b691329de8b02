"""Libvirt keeps the contract of backends, and what a machine promises besides."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.backends.libvirt import engine, inspection
from lab.backends.libvirt.backend import LibvirtBackend
from lab.backends.libvirt.disks import DiskStore, LabFolder, lab_names
from lab.backends.libvirt.engine import bridge_name
from lab.backends.libvirt.golden import Golden
from lab.config import load
from lab.errors import LabError
from lab.model import ClusterSpec, Power
from tests.backends.contract import Bed, RealContract, silent, small, until

LAB = "hvcontract"
BOOT = "cat /proc/sys/kernel/random/boot_id"
SECONDS = 600.0  # processors may be emulated, and the machine busy


def why_not() -> str:
    """Why these tests cannot run here; "" when they can."""
    try:
        LibvirtBackend().labs()
        DiskStore().current("sms")
    except LabError as problem:
        return str(problem)
    return ""


pytestmark = [pytest.mark.engine, pytest.mark.timeout(2 * SECONDS)]


@pytest.fixture(scope="module", autouse=True)
def _usable() -> None:
    if why := why_not():
        pytest.skip(f"no virtual machines here: {why}")


def left_of(lab: str) -> list[str]:
    """Everything that is there of a lab: machines, wires, bridges, files, processes."""
    connection = LibvirtBackend().connection
    found = [one.thing.name() for one in inspection.domains(connection, lab)]
    found += [one.thing.name() for one in inspection.networks(connection, lab)]
    found += [name for name in lab_names() if name == lab]
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
    found += [name for name in ("internal", "external") if bridge_name(lab, name) in links]
    pids = subprocess.run(
        ["pgrep", "-f", f"/labs/{lab}/"], capture_output=True, text=True, check=False
    ).stdout
    return found + pids.split()


@pytest.fixture(scope="module")
def bed() -> Iterator[Bed]:
    """One small lab for all of these tests; nothing of it is left afterwards."""
    made = Bed(LibvirtBackend(), small(libvirt_spec, LAB, compute=1), SECONDS)
    made.backend.delete(LAB, silent)
    yield made
    LibvirtBackend().delete(LAB, silent)  # the daemon may be another one by now
    assert not left_of(LAB)


def libvirt_spec(_path: None, sets: tuple[str, ...], environ: dict[str, str], lab: str) -> ClusterSpec:
    return load(None, sets, environ | {"LAB_BACKEND": "libvirt"}, lab)


class TestLibvirt(RealContract):
    spec_of = staticmethod(libvirt_spec)

    def test_a_node_booted_from_the_network_with_a_kernel_and_storage_of_its_own(self, up: Bed) -> None:
        assert up.must("c1", "uname -r") == up.must("sms", "ls /lib/modules")
        assert "wwmaster=172.16.0.1" in up.must("c1", "cat /proc/cmdline")
        assert up.must("c1", "stat -f -c %T /") == "tmpfs"
        assert up.must("c1", "findmnt -no SOURCE,FSTYPE /home").split() == ["172.16.0.1:/home", "nfs4"]
        text = b"".join(up.backend.console(LAB, "c1", follow=False))
        for word in (b"SeaBIOS", b"iPXE", b"Now Booting Warewulf", b"30-getvnfs"):
            assert word in text

    def test_the_way_in_depends_neither_on_sshd_nor_on_the_network(self, up: Bed) -> None:
        up.must("c1", "systemctl stop ssh; ip link set eth0 down")
        try:
            assert up.must("c1", "echo still here") == "still here"
        finally:
            up.must("c1", "ip link set eth0 up; systemctl start ssh")

    def test_a_reboot_ends_open_shells_and_the_next_one_is_of_the_new_boot(self, up: Bed) -> None:
        before = up.must("c1", "cat /proc/sys/kernel/random/boot_id")
        argv = up.backend.shell(LAB, "c1", ["sleep", "1000"], user="root", tty=False)
        with subprocess.Popen(argv, stdin=subprocess.DEVNULL) as process:
            up.run("c1", "systemctl reboot")
            assert process.wait(120) != 0
        until(lambda: up.status()["c1"].stage != "init", SECONDS, up.status)
        up.wait_for("c1")
        assert up.must("c1", "cat /proc/sys/kernel/random/boot_id") != before

    def test_a_system_that_powers_itself_off_stays_off(self, up: Bed) -> None:
        up.run("c1", "systemctl poweroff")
        up.wait_off("c1")
        up.backend.create(up.spec, silent)
        assert up.status()["c1"].power is Power.OFF

    def test_handout_is_the_first_state_with_the_same_credentials(self, up: Bed) -> None:
        before = up.must("sms", "cat /etc/rackling/credentials.json")
        up.must("sms", "touch /root/mine /home/user1/mine")
        up.backend.restore(LAB, "handout", silent)
        up.wait_for("sms")
        until(lambda: up.run("sms", "test -s /run/rackling/ready").returncode == 0, SECONDS, up.status)
        assert up.must("sms", "cat /etc/rackling/credentials.json") == before
        assert up.run("sms", "ls /root/mine || ls /home/user1/mine").returncode != 0


@pytest.mark.parametrize("seconds", [0.5, 1.0, 1.5, 2.0, 3.0, 6.0])
def test_nothing_is_left_of_a_lab_whose_making_was_killed(seconds: float) -> None:
    name = "hvkilled"
    command = [sys.executable, "-m", "lab.cli.main", "--backend", "libvirt", "up", "-l", name, "--no-wait"]
    small_lab = ["--set", "c.count=1", "--set", "g.count=0", "--set", "login.count=0"]
    environ = {key: value for key, value in os.environ.items() if key not in ("LAB_NAME", "LAB_BACKEND")}
    with subprocess.Popen([*command, *small_lab], env=environ, stderr=subprocess.DEVNULL) as process:
        time.sleep(seconds)
        process.kill()
    try:
        LibvirtBackend().delete(name, silent)
        until(lambda: not left_of(name), 15, lambda: left_of(name))  # a program it had started may still end
    finally:
        LibvirtBackend().delete(name, silent)


def test_a_lab_of_which_only_files_are_left_is_found_and_taken_away() -> None:
    folder = LabFolder("hvorphan")
    try:
        folder.make()
        record = next(found for found in LibvirtBackend().labs() if found.lab == "hvorphan")
        assert (record.nodes, record.running, record.spec) == ((), 0, None)
    finally:
        LibvirtBackend().delete("hvorphan", silent)
    assert not left_of("hvorphan")


SECRETS = (
    "base64 -w0 /etc/munge/munge.key",
    "base64 -w0 /etc/slurm/jwt_hs256.key",
    "cat /etc/rackling/credentials.json",
    "cat /etc/ssh/ssh_host_ed25519_key.pub",
    "cat /root/.ssh/cluster",
    "cat /home/user1/.ssh/id_ed25519",
)
ON_NODES = (
    "base64 -w0 /etc/munge/munge.key",
    "cat /etc/ssh/ssh_host_ed25519_key",
    "cat /root/.ssh/authorized_keys",
)


def test_a_lab_put_together_from_another_has_an_identity_of_its_own(bed: Bed) -> None:
    """Beside the first, under the same addresses: each has its own keys, and its own jobs run."""
    other = Bed(LibvirtBackend(), small(libvirt_spec, "hvsecond", compute=1), SECONDS)
    golden = Golden(LibvirtBackend().connection, other.spec, DiskStore(), kvm=inspection.kvm_verdict()[0])
    golden.forget()
    first = Bed(LibvirtBackend(), bed.spec, SECONDS)
    first.backend.delete(LAB, silent)
    try:
        first.backend.create(first.spec, silent)
        until(lambda: idle(first), SECONDS, first.status)
        borrowed = [first.must("sms", secret) for secret in SECRETS]
        first.backend.settle(LAB, silent)
        assert golden.is_there
        other.backend.create(other.spec, silent)
        until(lambda: idle(other), SECONDS, other.status)
        other.backend.settle(other.name, silent)
        found = [[up.must("sms", secret) for secret in SECRETS] for up in (first, other)]
        for kept, mine, theirs in zip(borrowed, *found, strict=True):
            assert len({kept, mine, theirs}) == 3
        on_nodes = [[up.must("c1", secret) for secret in ON_NODES] for up in (first, other)]
        assert not set(on_nodes[0]) & set(on_nodes[1])
        for up in (first, other):
            assert up.must("sms", "srun -w c1 hostname", user="user1") == "c1"
            assert up.must("sms", "ssh -o BatchMode=yes c1 id -un") == "root"
        other.backend.stop(other.name, ["c1"], hard=True)
        other.backend.start(other.name, ["c1"])
        other.wait_for("c1")
        assert [other.must("c1", secret) for secret in ON_NODES] == on_nodes[1]
    finally:
        other.backend.delete(other.name, silent)
        golden.forget()
    assert not left_of("hvsecond")


def idle(up: Bed) -> bool:
    return up.booted("sms") and up.run("sms", "sinfo -hN -n c1 -o %t | grep -x idle").returncode == 0


class TestFaults:
    """What may happen to a lab of machines; each test mends what it broke."""

    @pytest.fixture
    def up(self, bed: Bed) -> Bed:
        fresh = Bed(LibvirtBackend(), bed.spec, SECONDS)  # the daemon may be another one by now
        fresh.backend.create(fresh.spec, silent)
        fresh.backend.start(LAB, ["sms", "c1"])
        fresh.wait_for("sms", "c1")
        return fresh

    def test_machines_outlive_the_daemon(self, up: Bed) -> None:
        boots = [up.must(node, BOOT) for node in ("sms", "c1")]
        restart_daemon()
        again = Bed(LibvirtBackend(), up.spec, SECONDS)
        assert {status.power for status in again.status().values()} == {Power.ON}
        assert [again.must(node, BOOT) for node in ("sms", "c1")] == boots
        again.backend.stop(LAB, ["c1"], hard=True)
        again.wait_off("c1")
        again.backend.start(LAB, ["c1"])
        again.wait_for("c1")

    def test_a_machine_killed_while_it_is_provisioned_boots_again(self, up: Bed) -> None:
        up.backend.stop(LAB, ["c1"], hard=True)
        up.wait_off("c1")
        up.backend.start(LAB, ["c1"])
        until(lambda: up.status()["c1"].stage not in ("", "post", "pxe", "init"), SECONDS, up.status)
        process = subprocess.run(
            ["pgrep", "-f", f"guest=rackling-{LAB}-c1,"], capture_output=True, text=True, check=True
        )
        os.kill(int(process.stdout.split()[0]), signal.SIGKILL)
        up.wait_off("c1")
        up.backend.start(LAB, ["c1"])
        up.wait_for("c1")

    def test_nodes_that_boot_while_the_sms_reboots_come_all_the_same(self, up: Bed) -> None:
        up.backend.stop(LAB, ["sms", "c1"], hard=True)
        up.wait_off("sms")
        up.wait_off("c1")
        up.backend.start(LAB, ["sms", "c1"])
        up.run("sms", "systemctl reboot")
        up.wait_for("sms", "c1")


def restart_daemon() -> None:
    """As an upgrade does; by hand where no init runs. A user's own starts when it is asked."""
    own = engine.is_session()
    if Path("/run/systemd/system").is_dir() and not own:
        subprocess.run(["systemctl", "restart", "libvirtd"], check=True, timeout=60)
        return
    place = (
        Path(os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}"), "libvirt")
        if own
        else Path("/run")
    )
    pid = int((place / "libvirtd.pid").read_text(encoding="utf-8"))
    os.kill(pid, signal.SIGTERM)
    until(lambda: not runs(pid), 30, lambda: f"libvirtd {pid} goes on")
    if not own:
        subprocess.run(["libvirtd", "--daemon"], check=True, timeout=60)
    until(answers, 30, lambda: "libvirtd does not answer")


def runs(pid: int) -> bool:
    """Whether a process lives; one that nobody has buried yet does not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return False


def answers() -> bool:
    try:
        LibvirtBackend().labs()
    except LabError:
        return False
    return True


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a disk that is full")
def test_a_full_disk_is_one_clear_error_and_leaves_nothing() -> None:
    name = "hvfull"
    folder = LabFolder(name).path
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], check=True)
    try:
        (folder / "filler").write_bytes(bytes(60 << 10))
        with pytest.raises(LabError) as caught:
            LibvirtBackend().create(small(libvirt_spec, name, compute=1), silent)
        assert "No space left" in f"{caught.value.message} {caught.value.evidence}"
    finally:
        subprocess.run(["umount", str(folder)], check=True)
        LibvirtBackend().delete(name, silent)
    assert not left_of(name)
