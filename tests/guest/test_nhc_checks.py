"""The checks of nhc: results and messages of LBNL's NHC 1.4, on a faked /proc and faked commands.

The tables were compared with the original; nhc_host.py says how.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.guest.nhc_host import ORIGINAL, Host

FAILED = "ERROR:  nhc:  Health check failed:  "
DATA = Path(__file__).parents[1] / "data/nhc"
ours = pytest.mark.skipif(bool(ORIGINAL), reason="differs from the original on purpose")


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def run(host: Host, check: str, **env: str) -> str:
    """The message of a check that fails; empty if it passes."""
    done = host.run(f"* || {check}\n", "-l", "-", "MARK_OFFLINE=0", env=env)
    lines = [line for line in done.stdout.splitlines() if line.startswith(FAILED)]
    assert done.stderr == ""
    assert (done.returncode == 0) is (lines == [])
    return lines[0].removeprefix(FAILED) if lines else ""


def rows(name: str) -> list[tuple[str, str]]:
    """The checks of a table, each with its message; empty if it passes."""
    found: list[tuple[str, str]] = []
    for line in (DATA / name).read_text().splitlines():
        if line.startswith("    "):
            found[-1] = (found[-1][0], line.strip())
        elif not line.startswith("#"):
            found.append((line, ""))
    return found


@pytest.mark.parametrize(("check", "message"), rows("checks.txt"))
def test_checks(host: Host, check: str, message: str) -> None:
    assert run(host, check) == message


@ours
@pytest.mark.parametrize(("check", "message"), rows("clearer.txt"))
def test_checks_that_are_clearer_here(host: Host, check: str, message: str) -> None:
    assert run(host, check) == message


def test_processors_without_packages_are_sockets(host: Host) -> None:
    """scripts/lbnl_hw.nhc, nhc_hw_gather_data: as in many virtual machines."""
    host.write("proc/cpuinfo", "processor\t: 0\nmodel name\t: x\n\nprocessor\t: 1\nmodel name\t: x\n")
    assert run(host, "check_hw_cpuinfo 2 2 2") == ""


@pytest.mark.skipif(bool(ORIGINAL), reason="it counts the folders of the path, which is longer on this host")
def test_infiniband(host: Host) -> None:
    """scripts/lbnl_hw.nhc, check_hw_ib."""
    port = "sys/class/infiniband/mlx5_0/ports/1"
    for name, text in (("state", "4: ACTIVE"), ("phys_state", "5: LinkUp"), ("rate", "100 Gb/sec (4X EDR)")):
        host.write(f"{port}/{name}", f"{text}\n")
    host.write("sys/class/infiniband_mad/abi_version", "5\n")
    assert run(host, "check_hw_ib 100") == ""
    assert run(host, "check_hw_ib 100 mlx5_0:1") == ""
    assert run(host, "check_hw_ib 40") == "check_hw_ib:  No IB port is ACTIVE (LinkUp 40 Gb/sec)."
    assert (
        run(host, "check_hw_ib 100 mlx5_1:1")
        == "check_hw_ib:  No IB port mlx5_1:1 is ACTIVE (LinkUp 100 Gb/sec)."
    )


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("", ""),
        ("mcelog: Connection refused", ""),
        ("corrected memory errors:\n 9 total\n 9 in 24h\nuncorrected memory errors:\n 0\n 0 in 24h", ""),
        ("corrected memory errors:\n 325 total\n 10 in 24h",
         "check_hw_mcelog:  MCEs detected - 10 corrected memory errors detected (limit of 9/day)."),
        ("uncorrected memory errors:\n 1 total\n 1 in 24h",
         "check_hw_mcelog:  MCEs detected - 1 UNcorrected memory errors detected (limit of 0/day)."),
    ],
)  # fmt: skip
def test_machine_checks(host: Host, said: str, message: str) -> None:
    """scripts/lbnl_hw.nhc, check_hw_mcelog."""
    host.command("mcelog", f"cat <<'E'\n{said}\nE" if said else ":")
    assert run(host, "check_hw_mcelog") == message


FILE = "root:x:0:0:\\nsshd:x:1:1:\\nuser:x:2:2:\\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("'/^root:x:0:0:/' 'sshd:*'", ""),
        ("'root*'", ""),
        ("'root'", 'check_file_contents:  File "FILE" failed to match "root".'),
        (
            "'root*' 'toor*'",
            'check_file_contents:  File "FILE" matched 1/2 patterns.  First failed match:  "toor*".',
        ),
        ("'!toor*'", ""),
        ("'root*' '!user*'", 'check_file_contents:  File "FILE" line 3 matches "user*".'),
        (
            "'toor*' '!user:y*'",
            'check_file_contents:  File "FILE" matched 1/2 patterns.  First failed match:  "toor*".',
        ),
    ],
)
def test_contents(host: Host, words: str, message: str) -> None:
    """scripts/lbnl_file.nhc, check_file_contents."""
    path = host.write("contents", FILE.replace("\\n", "\n"))
    assert run(host, f"check_file_contents {path} {words}") == message.replace("FILE", str(path))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("-m 0640", ""),
        ("-m 0600", "has permissions 0640; should be 0600"),
        ("-M 0600", ""),
        ("-M 0604", "has permissions 0640; should be at least 0604"),
        ("-u %UID", ""),
        ("-u 4711", 'UID is "%UID"; should be "4711"'),
        ("-g 4711", 'GID is "%GID"; should be "4711"'),
        ("-U nobody9", 'username is "%USER"; should be "nobody9"'),
        ("-n 60", "mtime is not newer than 60s"),
        ("-n 7200", ""),
        ("-o 60", ""),
        ("-o 7200", "mtime is not older than 7200s"),
        ("-N 60", ""),
        ("-O 60", "ctime is not older than 60s"),
    ],
)
def test_stat(host: Host, words: str, message: str) -> None:
    """scripts/lbnl_file.nhc, check_file_stat; the file was changed an hour ago, its inode now."""
    path = host.write("looked-at", "x")
    path.chmod(0o640)
    before = time.time() - 3600
    os.utime(path, (before, before))
    values = {"%UID": str(os.getuid()), "%GID": str(path.stat().st_gid), "%USER": path.owner()}
    for name, value in values.items():
        words, message = words.replace(name, value), message.replace(name, value)
    wanted = message and f'check_file_stat:  File "{path}" {message}'
    assert run(host, f"check_file_stat {words} {path}") == wanted


def test_stat_of_a_device_and_of_nothing(host: Host) -> None:
    assert run(host, "check_file_stat -t 1 -T 3 /dev/null") == ""
    assert "has device minor number 0x3; should be 5" in run(host, "check_file_stat -t 1 -T 5 /dev/null")


@pytest.mark.parametrize(
    ("options", "status", "message", "services"),
    [
        ("-S", "0", "; start in progress", ["gone start"]),
        ("-r", "0", "; restart in progress", ["gone restart"]),
        ("-c", "0", "; cycle in progress", ["gone stop", "gone start"]),
    ],
)
def test_services_are_started(
    host: Host, options: str, status: str, message: str, services: list[str]
) -> None:
    """scripts/lbnl_ps.nhc, check_ps_service: a failure all the same, in this run."""
    told = run(host, f"check_ps_service {options} gone", SERVICE_STATUS=status)
    assert told == f"check_ps_service:  Service gone (process gone) not running{message}"
    end = time.monotonic() + 20
    while host.asked("services") != services and time.monotonic() < end:
        time.sleep(0.05)
    assert host.asked("services") == services


@pytest.mark.parametrize(("status", "passes"), [("0", True), ("3", False)])
def test_services_that_were_started_are_looked_at(host: Host, status: str, *, passes: bool) -> None:
    """-V: the failure is none if the service runs afterwards."""
    assert (run(host, "check_ps_service -S -V gone", SERVICE_STATUS=status) == "") is passes


def test_what_is_not_mounted_is_mounted(host: Host) -> None:
    """scripts/lbnl_fs.nhc, check_fs_mount -r and -O."""
    for words, wanted in (
        ("-r -f /tmp", "/tmp"),
        ("-r -O noatime -f /tmp", "-o noatime /tmp"),
        ("-r -O rw -o '*ro*' -f /home", "-o remount,rw /home"),
    ):
        (host.folder / "mounts").unlink(missing_ok=True)
        assert run(host, f"check_fs_mount {words}") != ""
        end = time.monotonic() + 20
        while not host.asked("mounts") and time.monotonic() < end:
            time.sleep(0.05)
        assert host.asked("mounts") == [wanted]


@pytest.mark.parametrize(
    ("call", "result"),
    [
        ("nhc_common_parse_size 100", "100"),
        ("nhc_common_parse_size 100kB", "100"),
        ("nhc_common_parse_size 2m", "2048"),
        ("nhc_common_parse_size 2MB", "2048"),
        ("nhc_common_parse_size 3g", "3145728"),
        ("nhc_common_parse_size 1Tb", "1073741824"),
        ("nhc_common_parse_size 1e", "1125899906842624"),
        ("nhc_common_parse_count 5", "5"),
        ("nhc_common_parse_count 5k", "5000"),
        ("nhc_common_parse_count 2M", "2000000"),
        ("nhc_common_unparse_size 900", "900kB"),
        ("nhc_common_unparse_size 1024", "1MB"),
        ("nhc_common_unparse_size 1572864", "1536MB"),
        ("nhc_common_unparse_size 2097152", "2GB"),
        ("nhc_common_unparse_size 2202009", "2202009kB"),
        ("nhc_common_unparse_count 999", "999"),
        ("nhc_common_unparse_count 1500000", "1500k"),
        ("nhc_common_unparse_count 2000000", "2M"),
        ("nhc_common_get_uid 77", "77"),
        ("nhc_common_get_userid root", "root"),
        # The original knows no account before a check of processes has run.
        pytest.param("nhc_common_get_uid user1", "1001", marks=ours),
        pytest.param("nhc_common_get_userid 1002", "user2", marks=ours),
    ],
)
def test_functions_for_checks(host: Host, call: str, result: str) -> None:
    """scripts/common.nhc."""
    done = host.run(f"* || {call} X\n* || echo =$X\n", "-l", "-")
    assert f"={result}" in done.stdout.splitlines()


def test_arrays(host: Host) -> None:
    """scripts/common.nhc: array_push and its kind."""
    conf = (
        "* || A=(b); array_push A c 'd e'; array_unshift A a; array_join + A T; echo $T\n"
        "* || array_shift A; array_pop A 1 L; echo ${#A[*]} $L\n"
    )
    assert host.said(host.run(conf, "-l", "-")) == ["a+b+c+d e", "2 d e"]


@ours
def test_a_text_is_split(host: Host) -> None:
    """The original's array_split leaves one part."""
    assert host.said(host.run("* || array_split : x:y:z A; echo ${A[2]}\n", "-l", "-")) == ["z"]
