"""Libvirt keeps the contract of backends, and what a machine promises besides."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pytest

from lab.backends.libvirt import assembly, engine, inspection
from lab.backends.libvirt.backend import LibvirtBackend
from lab.backends.libvirt.checkpoint_cache import CheckpointCache
from lab.backends.libvirt.engine import bridge_name
from lab.backends.libvirt.storage import DiskStore, LabFolder, lab_names
from lab.cluster.plan import work
from lab.config.loader import load
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
        assert not os.environ.get("LAB_TEST_NO_SKIP"), why
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


def uuid_of(node: str) -> str:
    return next(
        str(found.thing.UUIDString())
        for found in inspection.domains(LibvirtBackend().connection, LAB)
        if found.metadata["node"] == node
    )


@pytest.fixture(scope="module")
def bed() -> Iterator[Bed]:
    """One small lab for all of these tests; nothing of it is left afterwards."""
    made = Bed(LibvirtBackend(), small(libvirt_spec, LAB, compute=1), SECONDS, uuid_of)
    made.backend.delete(LAB, silent)
    yield made
    LibvirtBackend().delete(LAB, silent)  # the daemon may be another one by now
    assert not left_of(LAB)


def attached(up: Bed, node: str) -> pexpect.spawn[str]:
    """Somebody at a machine's console."""
    argv = up.backend.attach(LAB, node)
    return pexpect.spawn(argv[0], argv[1:], timeout=SECONDS, encoding="utf-8", codec_errors="replace")


def knock(child: pexpect.spawn[str], prompt: str) -> None:
    """Presses Enter until a prompt is shown: what is typed earlier nobody hears."""

    def is_shown() -> bool:
        child.send("\r")
        return child.expect_exact([prompt, pexpect.TIMEOUT], timeout=10) == 0

    until(is_shown, SECONDS, lambda: child.before)


def leave(child: pexpect.spawn[str]) -> None:
    """Ctrl-]; a machine waits for an attached terminal that nobody reads."""
    child.send("\x1d")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


def shown(up: Bed, node: str) -> bytes:
    """What the console is known to have shown."""
    return b"".join(up.backend.console(LAB, node, follow=False))


def libvirt_spec(_path: None, sets: tuple[str, ...], environ: dict[str, str], lab: str) -> ClusterSpec:
    return load(None, sets, environ | {"LAB_BACKEND": "libvirt"}, lab)


class TestLibvirt(RealContract):
    spec_of = staticmethod(libvirt_spec)

    def test_a_node_booted_from_the_network_with_a_kernel_and_storage_of_its_own(self, up: Bed) -> None:
        assert up.must("c1", "uname -r") == up.must("sms", "ls /lib/modules")
        assert "wwmaster=172.16.0.1" in up.must("c1", "cat /proc/cmdline")
        assert up.must("c1", "stat -f -c %T /") == "tmpfs"
        assert up.must("c1", "findmnt -no SOURCE,FSTYPE /home").split() == ["172.16.0.1:/home", "nfs4"]
        text = shown(up, "c1")
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
        assert not work(up.up("sms"))
        assert up.status()["c1"].power is Power.OFF

    def test_handout_is_the_first_state_with_the_same_credentials(self, up: Bed) -> None:
        before = up.must("sms", "cat /etc/rackling/credentials.json")
        up.must("sms", "touch /root/mine /home/user1/mine")
        up.backend.restore(LAB, "handout", silent)
        up.wait_for("sms")
        until(lambda: up.run("sms", "test -s /run/rackling/ready").returncode == 0, SECONDS, up.status)
        assert up.must("sms", "cat /etc/rackling/credentials.json") == before
        assert up.run("sms", "ls /root/mine || ls /home/user1/mine").returncode != 0

    def test_a_user_logs_in_on_the_serial_console(self, up: Bed) -> None:
        listed = json.loads(up.must("sms", "cat /etc/rackling/credentials.json"))["users"]
        passwords = {user["name"]: user["password"] for user in listed}
        with attached(up, "c1") as child:
            knock(child, "c1 login: ")
            child.send("user1\r")
            child.expect_exact("Password: ")  # nothing is echoed from here on
            child.send(passwords["user1"] + "\r")
            assert child.expect_exact(["$ ", "Login incorrect"]) == 0
            child.send("echo $((40 + 2))-$(id -un)-$(hostname)-$(tty)\r")
            child.expect_exact("42-user1-c1-/dev/ttyS0")
            child.send("exit\r")
            child.expect_exact("c1 login: ")
            leave(child)
        until(lambda: b"42-user1-c1-/dev/ttyS0" in shown(up, "c1"), 10, lambda: "not in the log")

    def test_a_shell_in_the_ramdisk_is_typed_into_and_the_boot_goes_on(self, up: Bed) -> None:
        up.must("sms", "wwsh -y provision set c1 --preshell=1")
        try:
            up.backend.stop(LAB, ["c1"], hard=True)
            up.wait_off("c1")
            up.backend.start(LAB, ["c1"])
            until(lambda: up.status()["c1"].stage == "preshell", SECONDS, up.status)
            until(lambda: b"lab console c1 --attach" in shown(up, "c1"), 10, lambda: "no way in is named")
            assert b"hint: lab console c1 --attach" in up.run("c1", "true").stderr
            with attached(up, "c1") as child:
                knock(child, "# ")
                child.send("test -e /lib/agent/report.sh && echo ramdisk-$((40 + 2))\r")
                child.expect_exact("ramdisk-42")
                child.send("exit\r")
                child.expect_exact("Starting the provision handler")
                leave(child)
            up.wait_for("c1")
        finally:
            up.must("sms", "wwsh -y provision set c1 --preshell=0")
            if up.status()["c1"].stage != "init":
                up.backend.stop(LAB, ["c1"], hard=True)


SMALL = ("--set", "c.count=1", "--set", "g.count=0", "--set", "login.count=0")


def lab(*words: str, name: str) -> list[str]:
    """A command of ours about a lab of the small shape."""
    command = [sys.executable, "-m", "lab.cli.main", "--backend", "libvirt", words[0], "-l", name, *words[1:]]
    return [*command, *(SMALL if words[0] == "up" else ())]


def run_lab(*words: str, name: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        lab(*words, name=name), env=without_settings(), capture_output=True, text=True, check=False
    )


def without_settings() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key not in ("LAB_NAME", "LAB_BACKEND")}


def killed(
    name: str, *words: str, at: str, after: float = 0.0, when: Callable[[], bool] = lambda: True
) -> None:
    """A command that is killed so many seconds after it has said that it is at a step, once that is so."""
    with subprocess.Popen(
        lab(*words, name=name), env=without_settings(), stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if at in line:
                break
        assert at in "".join(said[-1:]), said
        time.sleep(after)
        while not when():
            assert process.poll() is None, "it had ended"
        assert process.poll() is None, "it had ended"
        process.kill()


def nothing_is_left_after_down(name: str) -> None:
    done = run_lab("down", "-y", name=name)
    assert done.returncode == 0, done.stderr
    until(lambda: not left_of(name), 15, lambda: left_of(name))  # a program it had started may still end


@pytest.mark.parametrize(
    ("step", "seconds"),
    [
        ("creating sms", 0.0),
        ("creating sms", 0.5),
        ("creating sms", 1.5),
        ("waiting for sms before", 0.0),
        ("waiting for sms before", 8.0),
    ],
)
def test_nothing_is_left_of_a_lab_whose_making_was_killed(step: str, seconds: float) -> None:
    name = "hvkilled"
    shape = small(libvirt_spec, name, compute=1)
    checkpoint(shape).forget()
    if step.startswith("waiting") and inspection.kvm_verdict()[0]:
        pytest.skip("with KVM nobody waits for the SMS")
    try:
        killed(name, "up", at=step, after=seconds)
        nothing_is_left_after_down(name)
    finally:
        LibvirtBackend().delete(name, silent)


@pytest.mark.quick
def test_a_lab_of_which_only_files_are_left_is_found_and_taken_away() -> None:
    folder = LabFolder("hvorphan")
    try:
        folder.make()
        record = next(found for found in LibvirtBackend().labs() if found.lab == "hvorphan")
        assert (record.nodes, record.running, record.spec) == ((), 0, None)
    finally:
        LibvirtBackend().delete("hvorphan", silent)
    assert not left_of("hvorphan")


@pytest.mark.quick
def test_a_lab_whose_files_are_gone_is_found_and_taken_away() -> None:
    """Only libvirt knows of it any more; `up` would make it anew, as there is nothing to go on with."""
    shape = small(libvirt_spec, "hvfileless", compute=1)
    backend = LibvirtBackend()
    folder = LabFolder("hvfileless")
    try:
        assembly.make_wires(backend.connection, shape)
        folder.make()
        for node in shape.nodes:
            assembly.make_disks(node, folder, DiskStore())
            assembly.define(backend.connection, shape, node, folder, kvm=False)
        shutil.rmtree(folder.path)
        record = next(found for found in backend.labs() if found.lab == "hvfileless")
        names = {node.name for node in shape.nodes}
        assert (set(record.nodes), record.running, record.spec) == (names, 0, shape)
        assert {one.name for one in backend.status("hvfileless")} == names
        nothing_is_left_after_down("hvfileless")
    finally:
        backend.delete("hvfileless", silent)


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
    golden = checkpoint(other.spec)
    golden.forget()
    first = Bed(LibvirtBackend(), bed.spec, SECONDS)
    first.backend.delete(LAB, silent)
    try:
        first.up()
        until(lambda: idle(first), SECONDS, first.status)
        ephemeral_identity = [first.must("sms", secret) for secret in SECRETS]
        first.backend.on_first_ready(LAB, silent)
        assert golden.is_there
        other.up()
        until(lambda: idle(other), SECONDS, other.status)
        other.backend.on_first_ready(other.name, silent)
        found = [[up.must("sms", secret) for secret in SECRETS] for up in (first, other)]
        for kept, mine, theirs in zip(ephemeral_identity, *found, strict=True):
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
        for up in (first, other):
            assert host_addresses(up.name) == []
        other.backend.delete(other.name, silent)
        for step in ("restoring the lab from a cached checkpoint", "keys and passwords of its own"):
            killed("hvsecond", "up", at=step, after=1.0)
            nothing_is_left_after_down("hvsecond")
            assert golden.is_there
        killed("hvsecond", "up", at="keys and passwords of its own", after=1.0)
        assert {status.power for status in other.status().values()} == {Power.ABSENT}
        done = run_lab("up", name="hvsecond")  # begins anew: half of it may have the other's keys
        assert done.returncode == 0, done.stderr
        assert "creation was interrupted" in done.stderr
        assert not set(ephemeral_identity) & {other.must("sms", secret) for secret in SECRETS}
    finally:
        other.backend.delete(other.name, silent)
        golden.forget()
    assert not left_of("hvsecond")


def checkpoint(spec: ClusterSpec) -> CheckpointCache:
    """What labs of this shape are put together of."""
    return CheckpointCache(LibvirtBackend().connection, spec, DiskStore(), kvm=inspection.kvm_verdict()[0])


def host_addresses(lab: str) -> list[str]:
    """Addresses by which this computer itself would be on a lab's wires."""
    told = subprocess.run(["ip", "-o", "addr"], capture_output=True, text=True, check=True).stdout
    bridges = [bridge_name(lab, name) for name in ("internal", "external")]
    return [line for line in told.splitlines() if any(bridge in line for bridge in bridges)]


def test_a_lab_killed_while_its_first_state_is_kept_goes_on(bed: Bed) -> None:
    """The machines stand still at that moment, or are in files already."""
    Bed(LibvirtBackend(), bed.spec, SECONDS).backend.delete(LAB, silent)
    name = "hvkilled"
    shape = small(libvirt_spec, name, compute=1)
    golden = checkpoint(shape)
    golden.forget()
    again = Bed(LibvirtBackend(), shape, SECONDS)
    try:
        # It first lets open shells end, which takes a busy host seconds.
        killed(name, "up", at="saving its memory", when=lambda: stands_still(again))
        done = run_lab("up", name=name)
        assert done.returncode == 0, done.stderr
        assert "resuming them" in done.stderr
        assert idle(again)
        assert again.must("sms", "srun -w c1 hostname", user="user1") == "c1"
        assert not golden.is_there  # somebody might have worked there meanwhile
        assert not list((LabFolder(name).path / "snapshots").glob(".*"))
        nothing_is_left_after_down(name)
    finally:
        again.backend.delete(name, silent)


def stands_still(bed: Bed) -> bool:
    """Whether some machine does not run: it is paused, or in a file."""
    return any(status.stage != "init" for status in bed.status().values())


def idle(up: Bed) -> bool:
    return up.booted("sms") and up.run("sms", "sinfo -hN -n c1 -o %t | grep -x idle").returncode == 0


class TestFaults:
    """What may happen to a lab of machines; each test mends what it broke."""

    @pytest.fixture
    def up(self, bed: Bed) -> Bed:
        fresh = Bed(LibvirtBackend(), bed.spec, SECONDS)  # the daemon may be another one by now
        fresh.up()
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
        until(lambda: up.run("sms", "true").returncode == 0, SECONDS, up.status)
        first = up.must("sms", BOOT)
        assert up.status()["c1"].stage != "init"
        up.must("sms", "systemctl --no-block reboot")
        until(lambda: rebooted(up, "sms", first), SECONDS, up.status)
        up.wait_for("sms", "c1")
        until(lambda: idle(up), SECONDS, up.status)

    def test_a_system_that_crashes_boots_again(self, up: Bed) -> None:
        first = up.must("c1", BOOT)
        crash = "echo 1 >/proc/sys/kernel/sysrq; sleep 1; echo c >/proc/sysrq-trigger"
        up.must("c1", f"setsid sh -c '{crash}' </dev/null >/dev/null 2>&1 &")
        until(lambda: up.status()["c1"].stage != "init", SECONDS, up.status)
        until(lambda: rebooted(up, "c1", first), SECONDS, up.status)
        assert b"sysrq triggered crash" in shown(up, "c1")

    def test_machines_that_stand_still_are_shown_and_go_on(self, up: Bed) -> None:
        boots = [up.must(node, BOOT) for node in ("sms", "c1")]
        for found in inspection.domains(up.backend.connection, LAB):  # type: ignore[attr-defined]
            found.thing.suspend()
        assert {status.stage for status in up.status().values()} == {"paused"}
        done = run_lab("up", name=LAB)
        assert done.returncode == 0, done.stderr
        assert [up.must(node, BOOT) for node in ("sms", "c1")] == boots

    def test_a_restore_that_was_killed_is_completed(self, up: Bed) -> None:
        up.must("sms", "echo then >/root/when")
        up.backend.snapshot(LAB, "then", silent)
        up.must("sms", "echo now >/root/when")
        killed(LAB, "restore", "then", "-y", at="restoring the memory of every machine", after=0.5)
        assert up.pending() == "then"
        done = run_lab("up", name=LAB)
        assert done.returncode == 0, done.stderr
        assert (up.pending(), up.must("sms", "cat /root/when")) == ("", "then")

    def test_jobs_and_credentials_pass_right_after_a_restore(self, up: Bed) -> None:
        up.run("sms", "scontrol update nodename=c1 state=resume")  # earlier tests took it out of service
        until(lambda: idle(up), SECONDS, up.status)
        up.backend.snapshot(LAB, "busy", silent)
        time.sleep(5)
        up.backend.restore(LAB, "busy", silent)
        up.wait_for("sms", "c1")
        assert "Success (0)" in up.must("sms", "munge -n | ssh c1 unmunge")
        assert up.must("sms", "srun -w c1 hostname", user="user1") == "c1"

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a disk that is full")
    def test_a_full_disk_costs_a_snapshot_and_nothing_else(self, up: Bed) -> None:
        boots = [up.must(node, BOOT) for node in ("sms", "c1")]
        place = LabFolder(LAB).path / "snapshots"
        place.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m,mode=711", "tmpfs", str(place)], check=True)
        try:
            with pytest.raises(LabError):
                up.backend.snapshot(LAB, "large", silent)
            assert list(place.iterdir()) == []
        finally:
            subprocess.run(["umount", str(place)], check=True)
        assert {status.stage for status in up.status().values()} == {"init"}
        assert [up.must(node, BOOT) for node in ("sms", "c1")] == boots


def rebooted(up: Bed, node: str, first: str) -> bool:
    done = up.run(node, BOOT)
    return done.returncode == 0 and done.stdout.decode().strip() not in ("", first)


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
    if not own:  # as quickstart does where no init runs
        command, quiet = ["setsid", "--fork", "tini", "-s", "--", "libvirtd"], subprocess.DEVNULL
        subprocess.run(command, stdin=quiet, stdout=quiet, stderr=quiet, check=True, timeout=60)
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
@pytest.mark.parametrize("room", ["8k", "64k", "400k"])
def test_a_full_disk_is_one_clear_error_and_leaves_nothing(room: str) -> None:
    """It is full for the command alone, in a mount namespace of its own; others see nothing of it."""
    name, labs = "hvfull", LabFolder("hvfull").path.parent
    labs.mkdir(parents=True, exist_ok=True)
    up = lab("up", name=name)
    full = f'mount -t tmpfs -o size={room} tmpfs "$0" && "$@"; code=$?; ls -A "$0"; exit $code'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", full, str(labs), *up],
        env=without_settings(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    try:
        assert done.returncode != 0
        assert "No space left" in done.stderr
        assert "Traceback" not in done.stderr
        assert done.stdout.split() == []
        assert not left_of(name)
    finally:
        LibvirtBackend().delete(name, silent)
