"""The front of apt that is called yum: what it asks of apt, into which tree, and what it refuses."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

YUM = Path(__file__).parents[2] / "lab/guest/files/common/usr/bin/yum"
FAKES = {
    "id": "echo ${FAKE_UID:-0}",
    "unshare": 'shift 3; exec "$@"',  # --mount --propagation private
    "mount": 'echo mount "$@" >>$LOG',
    "chroot": 'echo chroot "$1" >>$LOG; shift; exec "$@"',
    "apt-get": 'echo apt-get "$@" >>$LOG; [ -z "${ENABLES:-}" ] || ln -s /usr/lib/x "$ENABLES"',
    "apt-cache": (
        "case $1 in dumpavail) printf 'Package: fail2ban\\nChosen: yes\\n\\nPackage: netbase\\n' ;; "
        'show) [ "$3" != foo ] ;; search) echo "found $2" ;; esac'
    ),
    "dpkg-query": '[ "$2" != absent ] && echo "$2 1.0"',
}
Ask = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def yum(tmp_path: Path, log: Path) -> Ask:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, body in FAKES.items():
        (tools / name).write_text(f"#!/bin/sh\n{body}\n")
        (tools / name).chmod(0o755)

    def ask(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        settings = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "LOG": str(log), **environ}
        return subprocess.run(
            [str(YUM), *words], env=settings, capture_output=True, text=True, timeout=20, check=False
        )

    return ask


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree as a chroot is, with one service enabled."""
    root = tmp_path / "image"
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/bin/apt-get").symlink_to("/bin/true")
    (root / "etc/systemd/system/multi-user.target.wants").mkdir(parents=True)
    (root / "etc/systemd/system/multi-user.target.wants/ssh.service").symlink_to("/usr/lib/ssh")
    return root


@pytest.mark.parametrize(
    "words",
    [
        ("install", "-y", "--installroot={}", "htop"),
        ("-y", "--installroot={}", "install", "htop"),
        ("install", "htop", "--installroot", "{}", "-y", "--nogpgcheck", "--enablerepo", "powertools"),
        ("--setopt=install_weak_deps=False", "install", "htop", "--assumeyes", "--installroot={}"),
    ],
)
def test_options_stand_anywhere(yum: Ask, tree: Path, log: Path, words: tuple[str, ...]) -> None:
    done = yum(*(word.format(tree) for word in words))
    assert done.returncode == 0, done.stderr
    assert f"yum: chroot {tree} apt-get -y install htop" in done.stdout
    lines = log.read_text().splitlines()
    assert f"chroot {tree}" in lines
    assert lines[-1].startswith("apt-get ")
    assert lines[-1].endswith(" -y install htop")


def test_without_a_tree_it_is_this_system(yum: Ask, log: Path) -> None:
    done = yum("install", "htop")
    assert done.stdout.splitlines()[0] == "yum: apt-get install htop"
    assert [line.split()[0] for line in log.read_text().splitlines()] == ["apt-get"]


@pytest.mark.parametrize(
    ("asked", "installed"),
    [
        ("kernel", "linux-image-cloud-amd64"),
        ("fail2ban", "fail2ban firewalld python3-pyinotify"),
        ("fail2ban.noarch", "fail2ban firewalld python3-pyinotify"),
        ("vim-enhanced", "vim-tiny"),
        ("parted", "parted"),
    ],
)
def test_names_of_enterprise_linux(yum: Ask, tree: Path, log: Path, asked: str, installed: str) -> None:
    assert yum("install", f"--installroot={tree}", asked).returncode == 0
    assert log.read_text().splitlines()[-1].endswith(f"install {installed}")


def test_repositories_are_known_already(yum: Ask, log: Path) -> None:
    done = yum("-y", "install", "epel-release")
    assert done.returncode == 0
    assert "epel-release: the lab's store is the only repository" in done.stdout
    assert not log.exists()


def test_new_services_stay_disabled_and_old_ones_enabled(yum: Ask, tree: Path) -> None:
    wants = tree / "etc/systemd/system/multi-user.target.wants"
    done = yum("install", f"--installroot={tree}", "fail2ban", ENABLES=str(wants / "fail2ban.service"))
    assert [path.name for path in wants.iterdir()] == ["ssh.service"]
    assert "not enabled, as on Enterprise Linux: fail2ban.service" in done.stdout


@pytest.mark.parametrize(
    ("words", "environ", "status", "told"),
    [
        (
            ("install", "foo"),
            {},
            1,
            ["no package called foo", "the lab's store has: fail2ban\n", "yum search"],
        ),
        (("install", "htop"), {"FAKE_UID": "1001"}, 1, ["sudo yum install"]),
        (("install", "--installroot=/nowhere", "htop"), {}, 1, ["/nowhere contains no system"]),
        (("install",), {}, 2, ["install needs a package"]),
        (("instal", "htop"), {}, 2, ["unknown command instal", "yum --help"]),
        (("--what", "install", "htop"), {}, 2, ["unknown option --what"]),
        (("remove", "absent"), {}, 1, ["absent is not installed"]),
        ((), {}, 2, ["usage: yum"]),
    ],
)
def test_what_cannot_be_done_is_said(
    yum: Ask, log: Path, words: tuple[str, ...], environ: dict[str, str], status: int, told: list[str]
) -> None:
    done = yum(*words, **environ)
    assert done.returncode == status
    for part in told:
        assert part in done.stderr
    assert not log.exists()


def test_looking_changes_nothing(yum: Ask, log: Path) -> None:
    assert yum("list", "available").stdout == ""  # what there is, is installed
    assert yum("search", "ban").stdout == "found ban\n"
    assert "nothing to update" in yum("update").stdout
    assert yum("info", "foo").returncode == 1
    assert not log.exists()
