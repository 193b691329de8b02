"""quickstart's talk and decisions, with every program it would call replaced by a scripted one."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass
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
[ -z "${XDG_DATA_HOME:-}" ] || { mkdir -p "$XDG_DATA_HOME"; echo "$*" >>"$XDG_DATA_HOME/progress"; }
case "$*" in
check*) [ -e "$CALLS.solved" ] || exit 1 ;;
solve*) touch "$CALLS.solved" ;;
esac
"""


@dataclass(frozen=True)
class Machine:
    """A pretend machine: a checkout, a folder of programs, and the list of calls made."""

    folder: Path
    engine: Path
    path: tuple[str, ...] = ()
    """Folders of programs besides the scripted ones."""

    @property
    def checkout(self) -> Path:
        return self.folder / "checkout"

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
    (made.checkout / "quickstart").write_text(script)
    (made.checkout / "pyproject.toml").write_text("one")
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
    installs = [call for call in machine.calls if call.startswith("apt-get install")]
    assert len(installs) == 1
    assert installs[0].endswith(" mmdebstrap")
    assert labs(machine) == ["lab images build", "lab up", "lab status"]


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


def test_second_run_installs_nothing_again(machine: Machine) -> None:
    machine.run("-y", "--no-proof")
    first = [call for call in machine.calls if " -m pip " in call]
    machine.run("-y", "--no-proof")
    assert len(first) == 1
    assert [call for call in machine.calls if " -m pip " in call] == first


def test_changed_dependencies_are_installed(machine: Machine) -> None:
    machine.run("-y", "--no-proof")
    (machine.checkout / "pyproject.toml").write_text("two")
    machine.run("-y", "--no-proof")
    assert len([call for call in machine.calls if " -m pip " in call]) == 2


def test_an_install_that_broke_off_is_repeated(machine: Machine) -> None:
    machine.run("-y", "--no-proof")
    (machine.checkout / "pyproject.toml").write_text("two")
    machine.program("python3", PYTHON)
    environment = machine.checkout / ".venv" / "bin" / "python"
    good = environment.read_text()
    environment.write_text(good + '\ncase "$*" in *"-m pip"*) exit 1 ;; esac')
    assert machine.run("-y").returncode == 3
    (machine.checkout / "pyproject.toml").write_text("one")
    environment.write_text(good)
    assert machine.run("-y", "--no-proof").returncode == 0
    assert len([call for call in machine.calls if " -m pip " in call]) == 3


def test_failed_install_is_repeated(machine: Machine) -> None:
    machine.program("python3", PYTHON + '\ncase "$*" in *"-m pip"*) exit 1 ;; esac')
    assert machine.run("-y").returncode == 3
    assert machine.run("-y").returncode == 3
    assert len([call for call in machine.calls if " -m pip " in call]) == 2
    assert not labs(machine)


def test_ci_counts_as_yes_and_proves_the_first_exercise(machine: Machine) -> None:
    done = machine.run(ci=True)
    assert done.returncode == 0, done.stderr
    proof = [call for call in labs(machine) if "quickstart-proof" in call]
    assert [call.split()[1] for call in proof] == ["down", "up", "check", "solve", "check", "down"]
    assert "proven: login_node fails unsolved and passes solved" in done.stdout
    assert "start login_node" in done.stdout
    assert not list(machine.folder.rglob("progress")), "solving it here is not the learner's doing"


def test_an_exercise_that_passes_unsolved_fails_the_proof(machine: Machine) -> None:
    (machine.folder / "calls.solved").touch()
    done = machine.run("-y")
    assert done.returncode == 3
    assert "ended with 0, not 1" in done.stderr
    assert labs(machine)[-1] == "lab down -l quickstart-proof -y"


def test_a_killed_engines_pid_file_does_not_stop_it(machine: Machine) -> None:
    stale = machine.engine / "docker.pid"
    stale.write_text(str(os.getpid()))  # alive, but no engine
    machine.program("docker", f'[ -e "{machine.engine}/up" ]')
    machine.program("setsid", f'touch "{machine.engine}/up"')
    done = machine.run("-y", "--no-proof")
    assert done.returncode == 0, done.stderr
    assert f"removing the pid file of an engine that is gone: {stale}" in done.stdout
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
    pips = [call for call in machine.calls if " -m pip " in call]
    assert len(pips) == 1
    assert pips[0].endswith("[dev,libvirt]")
    assert any(call.endswith("-m nox -s ci") for call in machine.calls)


def end(terminal: pexpect.spawn[str]) -> int | None:
    terminal.expect(pexpect.EOF)
    terminal.close()
    return terminal.exitstatus


def test_on_a_terminal_no_means_no(machine: Machine) -> None:
    (machine.folder / "inotify").write_text("128")
    terminal = machine.terminal()
    terminal.expect("Go on.*Y/n")
    terminal.sendline("n")
    terminal.expect("Nothing was changed")
    assert end(terminal) == 0
    assert (machine.folder / "inotify").read_text() == "128"


def test_on_a_terminal_it_offers_the_proof_and_takes_no_for_granted(machine: Machine) -> None:
    terminal = machine.terminal()
    terminal.expect("first exercise being solved.*y/N")
    terminal.sendline("")
    terminal.expect("start login_node")
    assert end(terminal) == 0
    assert labs(machine) == ["lab images build", "lab up", "lab status"]


def test_interrupted_while_installing(machine: Machine) -> None:
    machine.program("python3", PYTHON.replace("--version)", '*"-m pip"*) exec sleep 30 ;;\n--version)'))
    terminal = machine.terminal("--no-proof")
    terminal.expect("installing lab")
    terminal.expect("… installing lab")
    terminal.sendintr()
    terminal.expect("interrupted during: installing lab")
    assert end(terminal) == 130
    assert not labs(machine)


def test_interrupted_proof_leaves_no_throw_away_lab(machine: Machine) -> None:
    machine.run("-y", "--no-proof")
    lab = machine.checkout / ".venv" / "bin" / "lab"
    lab.write_text(lab.read_text() + '\ncase "$*" in "up -l"*) exec sleep 30 ;; esac\n')
    terminal = machine.terminal("-y")
    terminal.expect("throw-away lab: quickstart-proof")
    while "lab up -l quickstart-proof" not in labs(machine):
        time.sleep(0.05)
    terminal.sendintr()
    terminal.expect("removing the throw-away lab")
    assert end(terminal) == 130
    assert labs(machine)[-1] == "lab down -l quickstart-proof -y"


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
    by_sudo = [call for call in learner.calls if call.startswith("sudo ")]
    assert len(by_sudo) == 2
    assert all("apt-get" in call for call in by_sudo)


def test_it_explains_the_engines_group_and_joins_nobody_to_it(learner: Machine) -> None:
    learner.program("docker", '[ -n "${BY_ROOT:-}" ]')
    done = learner.run("-y")
    assert done.returncode == 3
    assert "your account ada may not talk to it" in done.stderr
    assert "can become root" in done.stderr
    assert "hint: sudo usermod -aG docker ada" in done.stderr
    assert not [call for call in learner.calls if call.startswith("usermod")]
    assert not labs(learner)


# virtual machines instead, or besides


@pytest.fixture
def host(machine: Machine) -> Machine:
    """A machine for virtual machines: little of what they need is there, and no container engine."""
    for name in ("docker", "dockerd"):
        (machine.folder / "bin" / name).unlink()
    for name in ("mke2fs", "sfdisk", "mkfs.fat", "ssh-keygen", "dpkg-query", "virtlogd", "stat", "chgrp"):
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
    installs = [call.split()[-3:] for call in host.calls if call.startswith("apt-get install")]
    assert installs == [["qemu-system-x86", "qemu-utils", "ipxe-qemu"]]
    started = [call for call in host.calls if call.startswith(("virtlogd", "setsid"))]
    assert started == ["virtlogd --daemon", "setsid tini -s -- libvirtd"]
    assert next(call for call in host.calls if " -m pip " in call).endswith("[libvirt]")
    assert labs(host) == ["lab images build", "lab up", "lab status"]
    assert "export LAB_BACKEND=libvirt" in done.stdout
    again = host.run("-y", "--no-proof", "--backend=libvirt")
    assert again.returncode == 0
    assert "start    libvirt" not in again.stdout
    # A later run for containers keeps what machines need.
    for name in ("docker", "dockerd"):
        host.program(name, "")
    assert host.run("-y", "--no-proof").returncode == 0
    assert len([call for call in host.calls if " -m pip " in call]) == 1


def test_the_tests_get_machines_and_containers(host: Machine) -> None:
    host.program("docker", '[ -e "$CALLS.engine" ]')
    host.program("dockerd", "")
    host.program("setsid", '[ "$1" != tini ] || exec "$@"; touch "$CALLS.engine"')
    done = host.run("test", ci=True)
    assert done.returncode == 0, done.stderr
    assert "the container engine answers" in done.stdout
    assert "libvirt answers" in done.stdout
    assert next(call for call in host.calls if " -m pip " in call).endswith("[dev,libvirt]")
    assert host.calls[-1].endswith("-m nox -s ci")


def test_a_kvm_device_closed_to_machines_is_opened(host: Machine) -> None:
    (host.folder / "kvm").touch()
    host.program("stat", 'case "$2" in %G) echo root ;; %a) echo 600 ;; esac')
    done = host.run("-y", "--no-proof", "--backend", "libvirt")
    assert done.returncode == 0, done.stderr
    assert f"chgrp kvm {host.folder}/kvm" in host.calls
    assert "for the group kvm" in done.stdout


def test_without_root_machines_are_of_a_libvirt_of_ones_own(host: Machine) -> None:
    host.program("id", ORDINARY)
    host.program("sudo", '"$@"')
    host.program("virsh", 'case "$*" in *qemu:///session*) ;; *) exit 1 ;; esac')
    done = host.run("-y", "--no-proof", "--backend", "libvirt")
    assert done.returncode == 0, done.stderr
    assert "start    libvirt" not in done.stdout
    assert not [call for call in host.calls if call.startswith(("virtlogd", "setsid"))]
    assert f"in {host.folder}/home/.local/state/rackling" in done.stdout
    assert labs(host) == ["lab images build", "lab up", "lab status"]


@pytest.mark.parametrize("words", [("--backend",), ("--backend", "xen"), ("--backend=",)])
def test_an_unknown_backend_is_refused(machine: Machine, words: tuple[str, ...]) -> None:
    done = machine.run(*words)
    assert done.returncode == 2
    assert "backend" in done.stderr
