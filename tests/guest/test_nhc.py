"""nhc reads a site's configuration as LBNL's NHC 1.4 does.

The tables were compared with the original; nhc_host.py says how.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.guest.nhc_host import NODE, ORIGINAL, Host

FAILED = "ERROR:  nhc:  Health check failed:  "


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


# targets: scripts/common.nhc, mcheck and the functions it calls


@pytest.mark.parametrize(
    ("name", "target", "matches"),
    [
        ("c1", "*", True),
        ("c1", "c*", True),
        ("c1", "c?", True),
        ("c10", "c?", False),
        ("c1", "c[12]", True),
        ("c3", "c[12]", False),
        ("c1", "C1", False),
        ("c1", "!c*", False),
        ("g1", "!c*", True),
        ("c1", "/1/", True),
        ("c1", "/^c[0-9]+$/", True),
        ("cx", "/^c[0-9]+$/", False),
        ("c1", "!/^c/", False),
        ("g1", "!/^c/", True),
        ("c1", "{c1}", True),
        ("c2", "{c1,c2}", True),
        ("c1", "{c[1-4]}", True),
        ("c5", "{c[1-4]}", False),
        ("c3", "{c[4-1]}", True),
        ("c05", "{c[01-10]}", True),
        ("c5", "{c[01-10]}", False),
        ("c10", "{c[1-10]}", True),
        ("c5", "{c[1-10]}", False),  # all names have the length of the longer end
        ("g2", "{c[1-4],g[1-2]}", True),
        ("n02.cluster", "{n[00-10].cluster}", True),
        ("n02.other", "{n[00-10].cluster}", False),
        ("c1", "!{c[1-4]}", False),
        ("g1", "!{c[1-4]}", True),
        ("c1", "{c[1,3]}", False),  # no range in NHC
        ("cx", "{c[1-4]}", False),
        ("login", "{login}", False),  # a name in a range ends with a number
        ("c1", "g1", False),
    ],
)
def test_targets(host: Host, name: str, target: str, *, matches: bool) -> None:
    host.write("proc/sys/kernel/hostname", f"{name}\n")
    done = host.run(f"{target} || false\n", "-l", "-")
    assert done.returncode == int(matches), done.stdout
    assert (f"{FAILED}Check false returned 1" in done.stdout) is matches


# lines: scripts/common.nhc, nhc_load_conf; nhc, nhcmain_run_checks


@pytest.mark.parametrize(
    ("conf", "said"),
    [
        pytest.param("* || echo ran", ["ran"], id="a line"),
        pytest.param("*||echo ran", ["ran"], id="without blanks"),
        pytest.param("  \t*  \t||\t  echo ran \t", ["ran"], id="with many"),
        pytest.param("# * || echo ran", [], id="a comment"),
        pytest.param("  #* || echo ran", [], id="a comment with blanks before it"),
        pytest.param("\n   \n|| echo ran\n* ||\n", [], id="nothing to do"),
        pytest.param("* || echo a || echo b", ["a"], id="the first bars end the target"),
        pytest.param("* || false || echo b", ["b"], id="others are the shell's"),
        pytest.param("* || echo a; echo b", ["a", "b"], id="commands of a shell"),
        pytest.param("* || echo a \\\n  b", ["a b"], id="a line that goes on"),
        pytest.param("* || echo 'a\\.b'", ["a.b"], id="a backslash protects and is gone"),
        pytest.param("* || echo 'a\\\\.b'", ["a\\.b"], id="two are one"),
        pytest.param("* || echo 'a    b'", ["a b"], id="blanks are one, also in quotes"),
        pytest.param("* || echo *", ["*"], id="the shell's patterns are off"),
        pytest.param('* || echo "$((2 * 3))"', ["6"], id="arithmetic"),
        pytest.param("* || export A=7\n* || echo $A", ["7"], id="variables last"),
        pytest.param("* || A='x y'\nc1 || echo $A", ["x y"], id="for the lines below"),
        pytest.param("c2 || export A=7\n* || echo a$A", ["a"], id="of this host only"),
        pytest.param("* || export PATH=/nowhere:$PATH\n* || echo ${PATH%%:*}", ["/nowhere"], id="the path"),
        pytest.param("* || echo $HOSTNAME $NAME $NHC_RM", ["c1 nhc slurm"], id="what checks can know"),
        pytest.param("* || NHC_MCHECK_DELIM=(@@) NHC_MCHECK_COMMAND=('test %m = yes')\n"
                     "* || mcheck c1 @yes@ && echo external", ["external"], id="an own kind of expression"),
    ],
)  # fmt: skip
def test_lines(host: Host, conf: str, said: list[str]) -> None:
    done = host.run(conf + "\n", "-l", "-")
    assert (done.returncode, host.said(done), done.stderr) == (0, said, "")


@pytest.mark.parametrize(
    ("conf", "status", "text"),
    [
        ("* || check_hw_eth nosuch9", 1, "check_hw_eth:  Ethernet device nosuch9 not detected."),
        ("* || (exit 3)", 3, "Check (exit 3) returned 3"),
        ("* || die 9 'no coffee'", 9, "no coffee"),
        ("* || check_moon_phase full", 127, "Check check_moon_phase full returned 127"),
    ],
)
def test_a_failure_is_a_line_a_status_and_a_reason(host: Host, conf: str, status: int, text: str) -> None:
    """nhc, die: to the caller, to the log, to syslog and to Slurm; the checks below do not run."""
    done = host.run(f"{conf}\n* || echo below\n")
    assert (done.returncode, done.stdout.splitlines()) == (status, [FAILED + text])
    log = host.log.read_text()
    assert FAILED + text in log
    assert "below" not in log
    assert host.asked("syslog") == [f"Health check failed:  {text}"]
    assert host.asked("slurm") == [f"<update><State=DRAIN><NodeName=c1><Reason=NHC: {text}>"]


def test_a_reason_with_quotes_is_a_reason(host: Host) -> None:
    """The original passes it through a shell as text."""
    if ORIGINAL:
        pytest.skip("NHC breaks at a quote (nhc, die)")
    host.run("""* || die 1 "it's $(id) \\`id\\`"\n""")
    assert len(host.asked("slurm")) == 1
    assert host.asked("slurm")[0].startswith("<update><State=DRAIN><NodeName=c1><Reason=NHC: it's uid=")


def test_no_configuration_means_no_check(host: Host) -> None:
    """nhc, nhcmain_check_conffile."""
    done = host.start()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_healthy_nodes_get_no_word(host: Host) -> None:
    done = host.run("* || true\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert host.asked("slurm") == []


# options: nhc, nhcmain_parse_cmdline

CONF = "* || echo one\n* || check_hw_eth a9\n* || die 5 two\n* || echo three\n"


@pytest.mark.parametrize(
    ("words", "status", "lines"),
    [
        ("-l -", 1, ["one", f"{FAILED}check_hw_eth:  Ethernet device a9 not detected."]),
        ("-a -l -", 2, ["one", f"{FAILED}check_hw_eth:  Ethernet device a9 not detected.", f"{FAILED}two",
                        "three", "ERROR:  nhc:  2 health checks failed."]),
        ("-q", 1, []),
        ("-f -l -", 1, ["one", f"{FAILED}check_hw_eth:  Ethernet device a9 not detected."]),
        ("-e false", 1, []),
        ("-e true", 0, []),
        ("-e (exit+7)", 7, []),
        ("-n other", 0, []),
    ],
)  # fmt: skip
def test_options(host: Host, words: str, status: int, lines: list[str]) -> None:
    done = host.run(CONF, *(word.replace("+", " ") for word in words.split()))
    assert (done.returncode, host.said(done)) == (status, lines)


def test_one_check_by_hand(host: Host) -> None:
    """-e: no log and no word to Slurm."""
    gone = host.folder / "gone"
    done = host.run(CONF, "-e", f"check_fs_mount_rw -f {gone}")
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        f"{FAILED}check_fs_mount:  {gone} not mounted; directory {gone} missing (auto-fixed)"
    ]
    assert gone.is_dir()
    assert host.asked("slurm") == []
    assert not host.log.exists()


def test_verbose_and_debug(host: Host) -> None:
    told = host.run("* || echo ran\n", "-v", "-l", "-").stdout.splitlines()
    assert told[:3] == ["Node Health Check starting.", 'Running check:  "echo ran"', "ran"]
    assert told[-1].startswith("Node Health Check completed successfully (")
    told = host.run("* || echo ran\n", "-d", "-l", "-").stdout.splitlines()
    assert any("DEBUG:  Loading configuration from " in line for line in told)
    assert "+" in host.run("* || echo ran\n", "-x", "-l", "-").stderr or ORIGINAL


def test_another_configuration_and_name(host: Host) -> None:
    host.write("etc/nhc/cron.conf", "* || die 1 nightly\n")
    done = host.run("* || false\n", "-n", "cron")
    assert done.stdout == "ERROR:  cron:  Health check failed:  nightly\n"
    assert (host.folder / "var/log/cron.log").exists()
    conf = host.write("mine.conf", "* || die 4 mine\n")
    assert host.run("* || false\n", "-c", str(conf)).returncode == 4


def test_the_log_goes_where_it_is_told(host: Host) -> None:
    for log in ("-l", f"{host.folder}/mine.log"), (f"LOGFILE={host.folder}/mine.log",):
        assert host.run("* || echo hello\n", *log).stdout == ""
    lines = (host.folder / "mine.log").read_text().splitlines()
    assert [line for line in lines if "/helpers/" not in line] == ["hello", "hello"]


def test_a_wrong_option_gives_10(host: Host) -> None:
    done = host.run("* || false\n", "-z")
    assert done.returncode == 10
    assert "nhc:  ERROR:  Invalid option:  -z" in done.stderr or ORIGINAL
    assert "-c" in done.stdout


def test_help(host: Host) -> None:
    done = host.run("* || false\n", "-h")
    assert done.returncode == 0
    assert all(f" -{option} " in done.stdout for option in "hDacdeflnqtvx")


def test_settings_of_the_system_count_more_than_options(host: Host) -> None:
    """nhc: the command line is read before nhcmain_load_sysconfig; the environment does not count at all."""
    host.write("etc/default/nhc", "LOGFILE=-\nVERBOSE=1\n")
    done = host.run("* || echo $TIMEOUT\n", "-t", "17", "VERBOSE=0", env={"TIMEOUT": "99", "SILENT": "1"})
    assert "17" in done.stdout.splitlines()
    assert done.stdout.startswith("Node Health Check starting.")


def test_settings_may_be_lines_of_the_configuration(host: Host) -> None:
    conf = "* || export MARK_OFFLINE=0 NHC_CHECK_ALL=1\n* || die 1 a\n* || die 1 b\n"
    assert host.run(conf).returncode == 2
    assert host.asked("slurm") == []


# the watchdog and signals: nhc, nhcmain_set_watchdog and its traps


def test_a_check_that_hangs_is_ended(host: Host) -> None:
    begun = time.monotonic()
    done = host.run("* || sleep 50\n", "-t", "1")
    assert time.monotonic() - begun < 20
    assert done.returncode == 142
    assert done.stdout.splitlines() == [f'{FAILED}Script timed out while executing "sleep 50".']
    assert host.asked("slurm")[0].endswith('<Reason=NHC: Script timed out while executing "sleep 50".>')


def test_a_check_that_ignores_signals_is_ended(host: Host) -> None:
    """By the timer, which then tells Slurm itself."""
    host.write("etc/nhc/nhc.conf", "* || bash -c 'trap \"\" ALRM TERM; while :; do sleep 1; done'\n")
    quiet = subprocess.DEVNULL  # not a pipe, which the timer would hold open: nhc's end is to be noticed
    done = subprocess.run(
        host.words("-t", "1"),
        env=host.environment(),
        stdout=quiet,
        check=False,
        timeout=60,
        start_new_session=True,
    )
    assert done.returncode == -signal.SIGKILL
    end = time.monotonic() + 20
    while not host.asked("slurm") and time.monotonic() < end:
        time.sleep(0.05)
    assert "<Reason=NHC: Watchdog timer unable to terminate hung NHC process " in host.asked("slurm")[0]


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)]
)
def test_signals(host: Host, number: signal.Signals, status: int) -> None:
    # Whoever started the tests may ignore the signal (nohup), and bash cannot trap one that was ignored.
    before = signal.signal(number, signal.SIG_DFL)
    try:
        done = host.run(f"* || kill -{int(number)} $$; true\n", "-t", "1")  # SIGTERM leaves the watchdog
    finally:
        signal.signal(number, before)
    assert done.returncode == status
    assert f"Terminated by signal {number.name}." in host.asked("slurm")[0]


def test_nothing_is_left_behind(host: Host) -> None:
    """The watchdog's sleep would hold slurmd's pipe open."""
    begun = time.monotonic()
    assert host.run("* || true\n", "-t", "40", "-l", "-").returncode == 0
    assert time.monotonic() - begun < 20


def test_it_gets_a_session_of_its_own(host: Host) -> None:
    """nhc, nhcmain_finalize_env: the watchdog must end children, too."""
    done = host.run("* || echo $NHC_SID $$\n", "-l", "-", leader=False)
    session, process = host.said(done)[0].split()
    assert session == f"-{process}"


# Slurm: the helpers node-mark-offline and node-mark-online


@pytest.mark.parametrize(
    ("sinfo", "offline", "online"),
    [
        ("idle none", "NHC: broken", None),
        ("mix none", "NHC: broken", None),
        ("alloc none", "NHC: broken", None),
        ("comp none", "NHC: broken", None),
        ("drain none", None, None),
        ("drain NHC: before", "NHC: broken", "resume"),
        ("drng NHC: before", "NHC: broken", "resume"),
        ("drain broken fan", "broken fan", None),
        ("drng* broken fan", "broken fan", None),
        ("drain NHCX other", "NHCX other", None),
        ("down NHC: before", None, "resume"),
        ("down* Not responding", None, None),
        ("drain@ NHC: before", None, None),
        ("boot NHC: before", None, None),
        ("boot^ reboot", None, None),
        ("idle# none", None, None),
        ("idle- none", None, None),
        ("plnd none", None, None),
        ("futr none", None, None),
    ],
)
def test_slurm_is_told(host: Host, sinfo: str, offline: str | None, online: str | None) -> None:
    host.run("* || die 1 broken\n", env={"SINFO": sinfo})
    wanted = [] if offline is None else [f"<update><State=DRAIN><NodeName=c1><Reason={offline}>"]
    assert host.asked("slurm") == wanted
    (host.folder / "slurm").unlink(missing_ok=True)
    host.run("* || true\n", env={"SINFO": sinfo})
    assert host.asked("slurm") == ([] if online is None else ["<update><State=RESUME><NodeName=c1>"])


def test_an_empty_note_may_be_taken_for_ours(host: Host) -> None:
    host.write("etc/default/nhc", "export IGNORE_EMPTY_NOTE=1\n")
    host.run("* || die 1 broken\n", env={"SINFO": "drain none"})
    host.run("* || true\n", env={"SINFO": "drain none"})
    assert [row.split(">")[1] for row in host.asked("slurm")] == ["<State=DRAIN", "<State=RESUME"]


def test_a_site_may_call_its_own_helpers(host: Host) -> None:
    host.write("etc/default/nhc", f'OFFLINE_NODE="echo >>{host.folder}/told bad"\nONLINE_NODE=:\n')
    host.run("* || die 1 broken\n")
    assert host.asked("told") == ["bad c1 broken"]


# detached mode: nhc, nhcmain_detach


def test_detached_a_run_reports_what_the_one_before_found(host: Host) -> None:
    host.write(
        "etc/default/nhc",
        f"DETACHED_MODE=1\nCONFDIR={host.folder}/etc/nhc\nHELPERDIR={host.folder}/helpers\n",
    )
    program = host.bin / "nhc"
    program.write_text(program.read_text().replace("/etc/default", f"{host.folder}/etc/default"))
    (host.folder / "var/run/nhc").mkdir()
    result = host.folder / "var/run/nhc/nhc.status"
    first = host.run("* || die 7 'no network'\n")
    assert (first.returncode, first.stdout) == (0, "")
    end = time.monotonic() + 20
    while not (result.exists() and result.read_text()) and time.monotonic() < end:
        time.sleep(0.05)
    assert result.read_text() == "7 no network\n"
    second = host.run("* || true\n")
    assert (second.returncode, second.stdout) == (7, "ERROR Health check failed:  no network\n")
    assert host.asked("slurm")[0] == "<update><State=DRAIN><NodeName=c1><Reason=NHC: no network>"


def test_detached_without_a_result_may_fail(host: Host) -> None:
    host.write("etc/default/nhc", "DETACHED_MODE=1\nDETACHED_MODE_FAIL_NODATA=1\n")
    (host.folder / "var/run/nhc").mkdir()
    done = host.run("* || true\n")
    assert done.returncode == 1
    assert "Detached mode -- pending checks (no data found)" in done.stdout


# a site's own checks


def test_scripts_of_a_site_are_read(host: Host) -> None:
    """nhc, nhcmain_load_scripts: every *.nhc, in the order of names, and no other file."""
    host.write(
        "etc/nhc/scripts/site.nhc",
        'check_site() { [[ $1 == good ]] || { die 1 "$FUNCNAME: $1"; return 1; }; }\n',
    )
    host.write("etc/nhc/scripts/ignored.sh", "exit 9\n")
    assert host.run("* || check_site good\n").returncode == 0
    assert host.run("* || check_site bad\n").stdout == f"{FAILED}check_site: bad\n"


@pytest.mark.skipif(bool(ORIGINAL), reason="the lab's own")
@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("", None),
        ("munge", "check_munge:  munge does not answer"),
        ("home", "check_fs_mount:  /home not mounted"),
        ("opt/ohpc/pub", "check_fs_mount:  /opt/ohpc/pub not mounted"),
        ("40%", "check_fs_used:  / is 96% full (419430kB), threshold is 95%"),
    ],
)
def test_the_labs_own_checks(host: Host, wrong: str, reason: str | None) -> None:
    """As a node boots with them; only the shared folders are elsewhere, because nhc makes missing ones."""
    conf = (NODE / "etc/nhc/nhc.conf").read_text()
    mounts = (host.folder / "proc/mounts").read_text().splitlines(keepends=True)
    for place in ("home", "opt/ohpc/pub"):
        (host.folder / place).mkdir(parents=True)
        conf = conf.replace(f" /{place}\n", f" {host.folder}/{place}\n")
        mounts = [line.replace(f" /{place} ", f" {host.folder}/{place} ") for line in mounts]
    host.write("proc/mounts", "".join(line for line in mounts if not wrong or f"/{wrong} " not in line))
    if wrong == "40%":
        df = host.bin / "df"
        df.write_text(df.read_text().replace("40%", "96%"))
    done = host.run(conf, env={"UNMUNGE": "1"} if wrong == "munge" else {})
    told = done.stdout.replace(f"{host.folder}/", "/")
    assert told == ("" if reason is None else f"{FAILED}{reason}\n")
    assert bool(host.asked("slurm")) is (reason is not None)


@pytest.mark.skipif(bool(ORIGINAL), reason="the original knows other services")
def test_genconf_writes_checks_that_hold(host: Host) -> None:
    """nhc-genconf; what it writes is then run."""
    done = host.start("-c", "-", "-H", "c*", program="nhc-genconf")
    assert done.stderr == ""
    lines = [line.strip() for line in done.stdout.splitlines() if "||" in line and line[0] != "#"]
    for line in (
        'c* || check_fs_mount_rw -t "nfs" -s "sms:/home" -f "/home"',
        'c* || check_fs_mount_ro -t "nfs" -s "sms:/opt/ohpc/pub" -f "/opt/ohpc/pub"',
        "c* || check_fs_used /home 95%",
        "c* || check_hw_cpuinfo 2 4 8",
        "c* || check_hw_physmem 2GB 2GB 3%",
        "c* || check_hw_swap 1GB 1GB 3%",
        "c* || check_hw_eth eth0",
        "c* || check_ps_loadavg 16",
        "c* || check_ps_service -S -u root slurmd",
        "c* || check_ps_service -S -u root -m 'sshd:*' ssh",
        "c* || check_ps_service -S -d munged -u munge munge",
    ):
        assert line in lines
    again = host.run(done.stdout, "-v", "-l", "-")
    assert again.returncode == 0, again.stdout
    assert again.stdout.count("Running check:") == len(lines)


@pytest.mark.skipif(bool(ORIGINAL), reason="the original knows other services")
def test_genconf_leaves_the_configuration_in_use_alone(host: Host) -> None:
    host.write("etc/nhc/nhc.conf", "# mine\n")
    assert host.start(program="nhc-genconf").returncode == 0
    assert host.asked("etc/nhc/nhc.conf") == ["# mine"]
    assert "check_hw_eth eth0" in (host.folder / "etc/nhc/nhc.conf.auto").read_text()
    assert host.start("-z", program="nhc-genconf").returncode == 255
    assert "-H TARGET" in host.start("-h", program="nhc-genconf").stdout


def test_every_program_starts_with_bash_and_may_run() -> None:
    for name in (
        "usr/sbin/nhc",
        "usr/sbin/nhc-genconf",
        "usr/lib/nhc/node-mark-offline",
        "usr/lib/nhc/node-mark-online",
    ):
        path = NODE / name
        assert path.read_text().startswith("#!/bin/bash\n")
        assert os.access(path, os.X_OK)
    for path in (NODE / "etc/nhc/scripts").iterdir():
        assert subprocess.run(["bash", "-n", path], check=False).returncode == 0
