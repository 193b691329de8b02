"""quickstart's talk and decisions, with every program it would call replaced by a scripted one."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import pexpect
import pytest

ROOT = Path(__file__).resolve().parents[2]
REAL = (
    "basename cat chmod cut date dirname env false grep head id ln mkdir pwd readlink rm sed sh sha256sum "
    "sleep tail test timeout touch tr true"
).split()

ORDINARY = 'case "$1" in -u) echo 1000 ;; *) echo ann ;; esac'
"""What `id` says when nobody is root."""

NEW_LAB = """#!/bin/sh
echo "lab $*" >>"$CALLS"
[ -z "${JOINED:-}" ] || echo "member of $JOINED"
"""


@dataclass(frozen=True)
class Machine:
    """A pretend machine: a checkout, a folder of programs, and the list of calls made."""

    folder: Path
    engine: Path
    path: tuple[str, ...] = ()
    """Folders of programs besides the scripted ones."""
    place: str = "checkout"

    @property
    def checkout(self) -> Path:
        return self.folder / self.place

    @property
    def calls(self) -> list[str]:
        path = self.folder / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def program(self, name: str, script: str) -> None:
        path = self.folder / "bin" / name
        path.unlink(missing_ok=True)
        path.write_text(f'#!/bin/sh\necho "{name} $*" >>"$CALLS"\n{script}\n')
        path.chmod(0o755)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": ":".join([str(self.folder / "bin"), *self.path]),
            "HOME": str(self.folder / "home"),
            "CALLS": str(self.folder / "calls"),
            "RACKLING_ENGINE_DIR": str(self.engine),
        }

    def terminal(self, *arguments: str) -> pexpect.spawn[str]:
        words = [str(self.checkout / "quickstart"), *arguments]
        return pexpect.spawn("/bin/sh", words, env=self.environment, encoding="utf-8", timeout=20)

    def run(self, *arguments: str, ci: bool = False) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/sh", str(self.checkout / "quickstart"), *arguments],
            env={**self.environment, **({"CI": "true"} if ci else {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=50,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine where everything is installed, and the engine runs."""
    made = Machine(tmp_path, tmp_path / "engine")
    for name in ("bin", "home", "engine", "checkout"):
        (tmp_path / name).mkdir()
    for name in REAL:
        found = next(path for path in (Path("/bin") / name, Path("/usr/bin") / name) if path.exists())
        (tmp_path / "bin" / name).symlink_to(found)
    script = (ROOT / "quickstart").read_text()
    # Neither this machine's own tools nor its kernel settings may decide a test.
    script = script.replace("/usr/local/sbin /usr/sbin /sbin", str(tmp_path / "sbin"))
    script = script.replace("/usr/bin/python3", str(tmp_path / "python3"))
    script = script.replace("/usr/share/keyrings/debian-archive-keyring.gpg", "/dev/null")
    script = script.replace("/proc/sys/fs/inotify/max_user_instances", str(tmp_path / "inotify"))
    script = script.replace("/etc/sysctl.d/", f"{tmp_path}/")
    script = script.replace("/usr/lib/ipxe/qemu", str(tmp_path))
    script = script.replace("/dev/kvm", str(tmp_path / "kvm"))
    script = script.replace("/run/systemd/system", str(tmp_path / "systemd"))
    (made.checkout / "quickstart").write_text(script)
    (made.checkout / "pyproject.toml").write_text("one")
    (made.checkout / "requirements").mkdir()
    (made.checkout / "requirements" / "class.txt").write_text("one")
    (tmp_path / "inotify").write_text("8192")
    for name in (
        "docker",
        "dockerd",
        "mmdebstrap",
        "zstd",
        "cpio",
        "git",
        "newuidmap",
        "busybox",
        "fish",
        "tcsh",
        "zsh",
    ):
        made.program(name, "")
    made.program("id", 'case "$1" in -u) echo 0 ;; *) echo root ;; esac')
    made.program("apt-get", "")
    made.program("apt-cache", '[ "$2" != docker-cli ]')
    made.program("python3", PYTHON)
    return made


# Stands in for the host's Python and, copied into .venv, for the environment's.
PYTHON = f"""
case "$*" in
--version) echo Python 3.11 ;;
*"-m venv"*)
    for last; do :; done
    mkdir -p "$last/bin"
    cat "$0" >"$last/bin/python"
    printf '%s' '{NEW_LAB}' >"$last/bin/lab"
    chmod +x "$last/bin/python" "$last/bin/lab" ;;
esac
"""


def labs(machine: Machine) -> list[str]:
    return [call for call in machine.calls if call.startswith("lab ")]


def installs(machine: Machine) -> list[str]:
    """For each time that lab was installed: what pip was asked for, a line for all its calls."""
    pips = [call.partition(" -m pip ")[2] for call in machine.calls if " -m pip " in call]
    ends = [number for number, call in enumerate(pips, start=1) if " -e " in call]
    return [
        "; ".join(pips[start:end])
        for start, end in zip([0, *ends], [*ends, len(pips)], strict=True)
        if start < end
    ]


def test_help_names_both_commands(machine: Machine) -> None:
    done = machine.run("--help")
    assert done.returncode == 0
    assert "./quickstart [-y] test" in done.stdout


@pytest.mark.parametrize("argument", ["tests", "--yes-please", "-x"])
def test_unknown_argument_is_refused(machine: Machine, argument: str) -> None:
    done = machine.run(argument)
    assert done.returncode == 2
    assert argument in done.stderr
    assert not machine.calls


def test_without_terminal_it_asks_for_the_flag(machine: Machine) -> None:
    (machine.folder / "bin" / "mmdebstrap").unlink()
    done = machine.run()
    assert done.returncode == 2
    assert "hint: ./quickstart -y" in done.stderr
    assert "mmdebstrap" in done.stdout
    assert not [call for call in machine.calls if call.startswith(("apt-get", "python3 -m", "lab"))]


def test_dry_run_changes_nothing(machine: Machine) -> None:
    (machine.folder / "bin" / "mmdebstrap").unlink()
    (machine.folder / "inotify").write_text("128")
    done = machine.run("-y", "--dry-run")
    assert done.returncode == 0
    assert "install  mmdebstrap" in done.stdout
    assert "fs.inotify.max_user_instances=8192" in done.stdout
    assert (machine.folder / "inotify").read_text() == "128"
    assert not [call for call in machine.calls if call.startswith("apt-get")]
    assert not (machine.checkout / ".venv").exists()


def test_installs_only_what_is_missing(machine: Machine) -> None:
    (machine.folder / "bin" / "mmdebstrap").unlink()
    done = machine.run("-y", "--no-proof")
    assert done.returncode == 0, done.stderr
    installed = [call for call in machine.calls if call.startswith("apt-get install")]
    assert len(installed) == 1
    assert installed[0].endswith(" mmdebstrap")
    assert labs(machine) == ["lab setup -y --no-proof"]


def test_tools_of_the_tests_are_installed_for_the_tests_only(machine: Machine) -> None:
    (machine.folder / "bin" / "cpio").unlink()
    assert "cpio" not in machine.run("-y", "--dry-run").stdout
    assert "install  cpio" in machine.run("-y", "--dry-run", "test").stdout


def test_unknown_package_ends_with_its_name(machine: Machine) -> None:
    (machine.folder / "bin" / "mmdebstrap").unlink()
    machine.program("apt-cache", "exit 1")
    done = machine.run("-y")
    assert done.returncode == 3
    assert "apt knows no package called mmdebstrap" in done.stderr
    assert "hint: " in done.stderr


def test_failed_step_shows_evidence_and_next_command(machine: Machine) -> None:
    (machine.folder / "bin" / "mmdebstrap").unlink()
    machine.program("apt-get", "echo E: no space left; exit 100")
    done = machine.run("-y")
    assert done.returncode == 3
    assert "error: this step failed" in done.stderr
    assert "refreshing the package lists" in done.stderr
    assert "E: no space left" in done.stderr
    assert "hint: apt-get update" in done.stderr


def test_inotify_limit_is_raised_never_lowered(machine: Machine) -> None:
    (machine.folder / "inotify").write_text("128\n")
    machine.run("-y", "--no-proof")
    assert (machine.folder / "inotify").read_text() == "8192\n"
    (machine.folder / "inotify").write_text("65536\n")
    machine.run("-y", "--no-proof")
    assert (machine.folder / "inotify").read_text() == "65536\n"


def test_libraries_are_installed_by_their_hashes_alone(machine: Machine) -> None:
    machine.run("-y")
    build, libraries, own = (
        line.removeprefix("--disable-pip-version-check ") for line in installs(machine)[0].split("; ")
    )
    assert build == "install --require-hashes -r requirements/build.txt"
    assert libraries == "install --require-hashes --no-build-isolation -r requirements/class.txt"
    assert own == f"install --no-deps --no-build-isolation -e {machine.checkout}"


def test_second_run_installs_nothing_again(machine: Machine) -> None:
    machine.run("-y")
    machine.run("-y")
    assert len(installs(machine)) == 1


@pytest.mark.parametrize("file", ["pyproject.toml", "requirements/class.txt"])
def test_changed_dependencies_are_installed(machine: Machine, file: str) -> None:
    machine.run("-y")
    (machine.checkout / file).write_text("two")
    machine.run("-y")
    assert len(installs(machine)) == 2


def test_an_install_that_broke_off_is_repeated(machine: Machine) -> None:
    machine.run("-y")
    (machine.checkout / "pyproject.toml").write_text("two")
    environment = machine.checkout / ".venv" / "bin" / "python"
    good = environment.read_text()
    environment.write_text(good + '\ncase "$*" in *"-m pip"*) exit 1 ;; esac')
    assert machine.run("-y").returncode == 3
    (machine.checkout / "pyproject.toml").write_text("one")
    environment.write_text(good)
    before = len(machine.calls)
    assert machine.run("-y").returncode == 0
    assert len([call for call in machine.calls[before:] if " -m pip " in call]) == 3


def test_failed_install_is_repeated(machine: Machine) -> None:
    machine.program("python3", PYTHON + '\ncase "$*" in *"-m pip"*) exit 1 ;; esac')
    assert machine.run("-y").returncode == 3
    assert machine.run("-y").returncode == 3
    assert len([call for call in machine.calls if " -m pip " in call]) == 2
    assert not labs(machine)


def test_ci_counts_as_yes(machine: Machine) -> None:
    done = machine.run(ci=True)
    assert done.returncode == 0, done.stderr
    assert labs(machine) == ["lab setup -y"]


def test_it_ends_as_setup_ends(machine: Machine) -> None:
    machine.run("-y")
    lab = machine.checkout / ".venv" / "bin" / "lab"
    lab.write_text(lab.read_text() + "exit 4\n")
    assert machine.run("-y").returncode == 4


def test_a_killed_engines_pid_file_does_not_stop_it(machine: Machine) -> None:
    stale = machine.engine / "docker.pid"
    stale.write_text(str(os.getpid()))  # alive, but no engine
    machine.program("docker", f'[ -e "{machine.engine}/up" ]')
    machine.program("setsid", f'touch "{machine.engine}/up"')
    done = machine.run("-y", "--no-proof")
    assert done.returncode == 0, done.stderr
    assert f"removing the pid file of an engine that has ended: {stale}" in done.stdout
    assert not stale.exists()


def test_an_engine_that_does_not_start_is_told(machine: Machine) -> None:
    machine.program("docker", "exit 1")
    machine.program("setsid", "echo failed to start daemon: no iptables")
    done = machine.run("-y")
    assert done.returncode == 3
    assert "starting the container engine" in done.stderr
    assert "failed to start daemon: no iptables" in done.stderr
    assert not labs(machine)


def test_developers_tools_stay_when_a_learner_runs_it(machine: Machine) -> None:
    for name in ("virsh", "libvirtd", "virtlogd"):
        machine.program(name, "")
    machine.run("test", ci=True)
    machine.run("-y", "--no-proof")
    assert len(installs(machine)) == 1
    assert "-r requirements/dev.txt -r requirements/libvirt.txt" in installs(machine)[0]
    assert any(call.endswith("-m nox -s ci") for call in machine.calls)


def end(terminal: pexpect.spawn[str]) -> int | None:
    terminal.expect(pexpect.EOF)
    terminal.close()
    return terminal.exitstatus


def test_on_a_terminal_no_means_no(machine: Machine) -> None:
    (machine.folder / "inotify").write_text("128")
    terminal = machine.terminal()
    terminal.expect("Continue.*Y/n")
    terminal.sendline("n")
    terminal.expect("Nothing was changed")
    assert end(terminal) == 0
    assert (machine.folder / "inotify").read_text() == "128"


def test_on_a_terminal_setup_asks_its_own_questions(machine: Machine) -> None:
    terminal = machine.terminal()
    assert end(terminal) == 0
    assert labs(machine) == ["lab setup"]


def test_interrupted_while_installing(machine: Machine) -> None:
    machine.program("python3", PYTHON.replace("--version)", '*"-m pip"*) exec sleep 30 ;;\n--version)'))
    terminal = machine.terminal("--no-proof")
    terminal.expect("installing lab")
    terminal.expect("… installing lab")
    terminal.sendintr()
    terminal.expect("interrupted during: installing lab")
    assert end(terminal) == 130
    assert not labs(machine)


SUDO = """
[ "$1" = env ] && shift
while case "$1" in *=*) true ;; *) false ;; esac; do shift; done
BY_ROOT=yes; export BY_ROOT
[ "$1" = -v ] || "$@"
"""


@pytest.fixture
def learner(machine: Machine) -> Machine:
    """The machine as an ordinary user with sudo sees it."""
    machine.program("id", 'case "$1" in -u) echo 1000 ;; *) echo ada ;; esac')
    machine.program("sudo", SUDO)
    return machine


def test_packages_are_installed_by_sudo_and_all_else_is_not(learner: Machine) -> None:
    (learner.folder / "bin" / "mmdebstrap").unlink()
    done = learner.run("-y", "--no-proof")
    assert done.returncode == 0, done.stderr
    first, *by_sudo = [call for call in learner.calls if call.startswith("sudo ")]
    assert first == "sudo true", "the password is asked for where it can be typed"
    assert len(by_sudo) == 2
    assert all("apt-get" in call for call in by_sudo)


def test_an_account_that_sudo_refuses_is_told(learner: Machine) -> None:
    (learner.folder / "bin" / "mmdebstrap").unlink()
    learner.program("sudo", "exit 1")
    done = learner.run("-y")
    assert done.returncode == 3
    assert "sudo refused ada" in done.stderr
    assert not [call for call in learner.calls if call.startswith("apt-get")]


def test_sudo_is_left_alone_where_nothing_needs_it(learner: Machine) -> None:
    assert learner.run("-y").returncode == 0
    assert not [call for call in learner.calls if call.startswith("sudo")]


SG = """
[ "$2" = -c ] && JOINED=$1 && export JOINED
[ ! -e "$CALLS.useless" ] || unset JOINED
exec sh -c "$3"
"""
IDS = """
[ ! -e "$CALLS.added" ] || groups=" docker"
case "$*" in
-u) echo 1000 ;;
-un) echo ada ;;
"-nG ada") echo "ada sudo${groups:-}" ;;
-nG) echo "ada sudo" ;;
esac
"""


@pytest.fixture
def outsider(learner: Machine) -> Machine:
    """An ordinary user whom the engine refuses; only root and members of the group docker may talk to it."""
    learner.program("id", IDS)
    learner.program("docker", '[ "${BY_ROOT:-}${JOINED:-}" ] || { echo permission denied >&2; exit 1; }')
    learner.program("usermod", 'touch "$CALLS.added"')
    learner.program("sg", SG)
    return learner


def test_the_account_joins_the_engines_group_and_the_run_goes_on(outsider: Machine) -> None:
    done = outsider.run("-y", "--no-proof")
    assert done.returncode == 0, done.stderr
    assert "join     group docker" in done.stdout
    assert "Members of the group docker can become root on this machine: ada will be one." in done.stdout
    assert "usermod -aG docker ada" in outsider.calls
    assert "member of docker" in done.stdout
    assert labs(outsider) == ["lab setup -y --no-proof"]
    again = outsider.run("-y")
    assert again.returncode == 0, again.stderr
    assert "nothing to install or change" in again.stdout, "a member already, though this login is not"
    assert outsider.calls.count("usermod -aG docker ada") == 1
    assert labs(outsider)[-1] == "lab setup -y"


def test_the_account_joins_no_group_before_the_answer(outsider: Machine) -> None:
    terminal = outsider.terminal()
    terminal.expect("join +group docker")
    terminal.expect("can become root on this machine: ada will be one")
    terminal.expect("Continue.*Y/n")
    terminal.sendline("n")
    assert end(terminal) == 0
    assert outsider.run("--dry-run").returncode == 0
    assert not [call for call in outsider.calls if call.startswith("usermod")]


def test_a_group_that_does_not_help_ends_the_run(outsider: Machine) -> None:
    (outsider.folder / "calls.useless").touch()
    done = outsider.run("-y")
    assert done.returncode == 3
    assert "permission denied" in done.stderr
    assert f"hint: ls -l {outsider.engine}/docker.sock" in done.stderr
    assert len([call for call in outsider.calls if call.startswith("usermod")]) == 1
    assert not labs(outsider)


def test_the_tests_run_in_the_engines_group_too(outsider: Machine) -> None:
    for name in ("virsh", "libvirtd", "tini", "dpkg-query"):
        outsider.program(name, "echo install ok installed")
    done = outsider.run("-y", "test")
    assert done.returncode == 0, done.stderr
    assert outsider.calls[-1].endswith("-m nox -s ci")
    assert any(call.startswith("sg docker -c exec '") and "nox" in call for call in outsider.calls)


@pytest.mark.parametrize("place", ["it's here", 'a "place"', "of $HOME; true"])
def test_a_checkouts_name_reaches_the_group_as_it_is(outsider: Machine, place: str) -> None:
    moved = replace(outsider, place=place)
    outsider.checkout.rename(moved.checkout)
    done = moved.run("-y")
    assert done.returncode == 0, done.stderr
    assert labs(moved) == ["lab setup -y"]


# virtual machines instead, or besides


@pytest.fixture
def host(machine: Machine) -> Machine:
    """A machine for virtual machines: little of what they need is there, and no container engine."""
    for name in ("docker", "dockerd"):
        (machine.folder / "bin" / name).unlink()
    for name in (
        "mke2fs",
        "sfdisk",
        "mkfs.fat",
        "ssh-keygen",
        "tc",
        "dpkg-query",
        "virtlogd",
        "stat",
        "chgrp",
    ):
        machine.program(name, "")
    machine.program("dpkg-query", "echo install ok installed")
    machine.program("setsid", 'exec "$@"')
    machine.program("tini", 'shift 2; exec "$@"')
    machine.program("libvirtd", 'touch "$CALLS.answers"')
    machine.program("virsh", '[ -e "$CALLS.answers" ]')
    return machine


def test_what_machines_need_is_installed_and_started(host: Machine) -> None:
    done = host.run("-y", "--no-proof", "--backend", "libvirt")
    assert done.returncode == 0, done.stderr
    installed = [call.split()[-3:] for call in host.calls if call.startswith("apt-get install")]
    assert installed == [["qemu-system-x86", "qemu-utils", "ipxe-qemu"]]
    started = [call for call in host.calls if call.startswith(("virtlogd", "setsid"))]
    assert started == ["virtlogd --daemon", "setsid tini -s -- libvirtd"]
    assert "-r requirements/libvirt.txt" in installs(host)[0]
    assert labs(host) == ["lab setup --backend libvirt -y --no-proof"]
    again = host.run("-y", "--no-proof", "--backend=libvirt")
    assert again.returncode == 0
    assert "start    libvirt" not in again.stdout
    # A later run for containers keeps what machines need.
    for name in ("docker", "dockerd"):
        host.program(name, "")
    assert host.run("-y", "--no-proof").returncode == 0
    assert len(installs(host)) == 1


def test_the_tests_get_machines_and_containers(host: Machine) -> None:
    host.program("docker", '[ -e "$CALLS.engine" ]')
    host.program("dockerd", "")
    host.program("setsid", '[ "$1" != tini ] || exec "$@"; touch "$CALLS.engine"')
    done = host.run("test", ci=True)
    assert done.returncode == 0, done.stderr
    assert "the container engine answers" in done.stdout
    assert "libvirt answers" in done.stdout
    assert "-r requirements/dev.txt -r requirements/libvirt.txt" in installs(host)[0]
    assert host.calls[-1].endswith("-m nox -s ci")


def test_a_kvm_device_closed_to_machines_is_opened(host: Machine) -> None:
    (host.folder / "kvm").touch()
    host.program("stat", 'case "$2" in %G) echo root ;; %a) echo 600 ;; esac')
    done = host.run("-y", "--no-proof", "--backend", "libvirt")
    assert done.returncode == 0, done.stderr
    assert f"chgrp kvm {host.folder}/kvm" in host.calls
    assert "to the group kvm" in done.stdout


def test_without_root_machines_are_of_a_libvirt_of_ones_own(host: Machine) -> None:
    host.program("id", ORDINARY)
    host.program("sudo", '"$@"')
    host.program("virsh", 'case "$*" in *qemu:///session*) ;; *) exit 1 ;; esac')
    done = host.run("-y", "--no-proof", "--backend", "libvirt")
    assert done.returncode == 0, done.stderr
    assert "start    libvirt" not in done.stdout
    assert not [call for call in host.calls if call.startswith(("virtlogd", "setsid"))]
    assert f"in {host.folder}/home/.local/state/rackling" in done.stdout
    assert labs(host) == ["lab setup --backend libvirt -y --no-proof"]


@pytest.mark.parametrize("words", [("--backend",), ("--backend", "xen"), ("--backend=",)])
def test_an_unknown_backend_is_refused(machine: Machine, words: tuple[str, ...]) -> None:
    done = machine.run(*words)
    assert done.returncode == 2
    assert "backend" in done.stderr
