"""The command siphon, started as people start it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab.siphon import cli, errors, options
from lab.siphon.fetch import client
from lab.siphon.protocol import versions
from lab.siphon.protocol.messages import ConfigFile
from tests.unit.siphon.controller import FILES, released, running
from tests.unit.siphon.tokens import TOKEN

ROOT = Path(__file__).resolve().parents[3]
OPTIONS = [
    name for action in options.make_parser()._actions for name in action.option_strings if name[1] == "-"
]


@pytest.fixture(autouse=True)
def _lone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No token, no controller, no cache of the machine that tests."""
    for name in ("SLURM_JWT", "SLURM_CONF_SERVER", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def process(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """siphon in a process of its own."""
    command = [sys.executable, "-m", "lab.siphon", *words]
    env = {**os.environ, **environment}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=30)


def test_straws_command_line_works(tmp_path: Path) -> None:
    with running(released("22.05")) as one:
        words = ["--auth", "jwt", "-o", str(tmp_path / "conf"), "-v", str(one.server), "22.05"]
        done = process(*words, SLURM_JWT=TOKEN)
    assert done.returncode == 0
    assert one.versions == ["22.05"]
    assert (tmp_path / "conf/slurm.conf").read_bytes() == FILES[0].content
    assert (tmp_path / "conf/plugstack.conf").read_bytes() == b""
    assert not (tmp_path / "conf/topology.conf").exists()
    assert TOKEN not in done.stdout + done.stderr
    assert "user alice" in done.stderr


def test_list_and_version_and_help() -> None:
    assert process("-l").stdout.split() == [v.release for v in reversed(versions.VERSIONS)]
    assert process("-V").stdout == f"siphon {cli.VERSION}\n"
    shown = process("--help").stdout
    for kind in errors.KINDS:
        assert f"  {kind.status:<4} {kind.meaning}\n" in shown
    for option in OPTIONS:
        assert f"{option} " in shown or f"{option}\n" in shown


@pytest.mark.parametrize(
    "words", ["-V", "-l", "--help", "--json -o {conf} {server} 22.05", "-o {conf} {server} 22.05"]
)
@pytest.mark.parametrize(("end", "why"), [(">/dev/full", "No space left on device"), (">&-", "it is closed")])
def test_an_output_that_takes_nothing_is_one_error(tmp_path: Path, words: str, end: str, why: str) -> None:
    with running(released("22.05")) as one:
        line = words.format(conf=tmp_path / "conf", server=one.server)
        done = subprocess.run(
            ["/bin/sh", "-c", f"{sys.executable} -m lab.siphon {line} {end}"],
            cwd=ROOT,
            env={**os.environ, "SLURM_JWT": TOKEN},
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
    told = done.stderr.splitlines()
    assert told[-3] == "error: cannot write to standard output"
    assert told[-2].strip().startswith(why)
    assert told[-1].startswith("hint: ")
    assert done.returncode == errors.WRITE.status


@pytest.mark.parametrize("end", ["2>/dev/full", "2>&-", "2>&- >&-"])
def test_messages_that_nobody_can_read_leave_the_status(tmp_path: Path, end: str) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f"{sys.executable} -m lab.siphon -o {tmp_path} 127.0.0.1:1 {end}"],
        cwd=ROOT,
        capture_output=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == errors.CREDENTIAL.status


def test_the_project_installs_the_command() -> None:
    tomllib = pytest.importorskip("tomllib", reason="Python 3.9 has no TOML parser")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == cli.VERSION
    assert project["scripts"]["siphon"] == "lab.siphon.cli:main"


def test_the_former_name_of_the_module_still_works() -> None:
    command = [sys.executable, "-m", "lab.slurm", "-V"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=30)
    assert (done.returncode, done.stdout) == (0, f"siphon {cli.VERSION}\n")


@pytest.mark.parametrize(
    ("words", "servers", "release"),
    [
        (["ctl", "22.05"], ["ctl"], "22.05"),
        (["ctl", "-o", "dir", "22.05"], ["ctl"], "22.05"),
        (["a", "-q", "b", "--json", "24.11"], ["a", "b"], "24.11"),
        (["--protocol", "24.11.5", "a"], ["a"], "24.11"),
        (["-qodir", "a", "--", "b"], ["a", "b"], None),
        (["24.11"], [], "24.11"),
        (["10.0.0.1"], ["10.0.0.1"], None),
        ([], [], None),
    ],
)
def test_options_stand_anywhere(words: list[str], servers: list[str], release: str | None) -> None:
    found = options.parse(words)
    assert found.servers == servers
    assert (found.protocol.release if found.protocol else None) == release


def test_a_refused_command_line_cannot_write_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (
        ["--\x1b[2J"],
        ["--auth", "\x1b[2J"],
        ["--timeout", "\x1b[2J"],
        ["h", "--protocol", "\x1b"],
    ):
        status, _, err = run(capsys, *words)
        assert status == errors.USAGE.status
        assert "\x1b" not in err


def test_every_status_is_its_own() -> None:
    assert len({kind.status for kind in errors.KINDS}) == len(errors.KINDS)
    assert len({kind.name for kind in errors.KINDS}) == len(errors.KINDS)


def test_every_option_and_status_is_in_the_readme() -> None:
    text = (ROOT / "lab/siphon/README.md").read_text()
    for option in OPTIONS:
        assert f"`{option}" in text, option
    for kind in errors.KINDS:
        assert f"| {kind.status} |" in text, kind.name


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """siphon in this process."""
    status = cli.main(list(words))
    shown = capsys.readouterr()
    assert TOKEN not in shown.out + shown.err
    return status, shown.out, shown.err


def test_dry_run_check_and_fetch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JWT", TOKEN)
    place = tmp_path / "conf"
    with running(released("26.05")) as one:
        words = ("-o", str(place), str(one.server))
        status, out, _ = run(capsys, "--dry-run", *words)
        assert status == 0
        assert "write     slurm.conf" in out
        assert not place.exists()
        assert run(capsys, "--check", *words)[0] == errors.DIFFERS.status
        assert not place.exists()
        assert run(capsys, *words)[:2] == (
            0,
            f"{place}: 2 written (from {one.server}, protocol 26.05)\n",
        )
        assert run(capsys, "--check", *words)[0] == 0
        (place / "slurm.conf").write_text("edited")
        assert run(capsys, "--check", *words)[0] == errors.DIFFERS.status
        assert run(capsys, "-q", *words) == (0, "", "")
        assert run(capsys, "--check", *words)[0] == 0


def test_servers_from_the_environment(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JWT", TOKEN)
    with running(released("26.05", code=2131)) as one, running(released("26.05")) as two:
        monkeypatch.setenv("SLURM_CONF_SERVER", f"{one.server},{two.server}")
        status, out, _ = run(capsys, "-o", str(tmp_path / "conf"))
    assert status == 0
    assert str(two.server) in out


def test_json_describes_the_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JWT", TOKEN)
    with running(released("24.11")) as one:
        status, out, _ = run(capsys, "--json", "-o", str(tmp_path / "conf"), str(one.server))
    assert status == 0
    told = json.loads(out)
    assert told["schema"] == 1
    assert (told["server"], told["release"], told["tries"]) == (str(one.server), "24.11", 2)
    assert told["protocol"] == {"release": "24.11", "number": 0x2A00}
    assert told["auth"] == "jwt"
    assert told["set"] == "client"
    assert told["changed"] is True
    assert told["seconds"]["total"] >= told["seconds"]["fetch"] > 0
    first, second, third = told["files"]
    assert first == {
        "name": "slurm.conf",
        "exists": True,
        "execute": False,
        "size": len(FILES[0].content),
        "sha256": "9daf00188fdbb6c6bbcaea3e9aa6bf54afc7b8e6b7ab389b13bf5ec11c324c92",
    }
    assert (second["exists"], second["size"], second["sha256"]) == (False, None, None)
    assert (third["exists"], third["size"]) == (True, 0)


def test_json_describes_a_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JWT", TOKEN)
    with running(released("24.11", code=2126)) as one:
        status, out, err = run(capsys, "--json", "-o", str(tmp_path / "conf"), str(one.server))
    assert status == errors.CONFIGLESS.status
    told = json.loads(out)
    assert (told["status"], told["exit"]) == ("configless-off", status)
    assert err.startswith("error: ")
    assert "enable_configless" in told["hint"]


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["--no-such"], 2),
        (["-x"], 2),
        (["--auth", "kerberos", "h"], 2),
        (["--auth"], 2),
        (["--timeout", "0", "h"], 2),
        (["--timeout", "soon", "h"], 2),
        (["--check=yes", "h"], 2),
        (["--on-change", "true", "h"], 2),
        (["--watch", "5", "--check", "h"], 2),
        (["h", "19.05"], 2),
        (["--protocol", "24.11", "h", "24.11"], 2),
        (["--s", "client", "h"], 2),
        (["--auth", "jwt", "h"], 22),
        (["--auth", "munge", "--munge-socket", "/nowhere/m", "127.0.0.1:1"], 22),
        (["--munge-key", "/nowhere/k", "h"], 22),
        (["--slurm-key", "/nowhere/k", "h"], 22),
        (["--token-file", "/nowhere/t", "h"], 22),
    ],
)
def test_wrong_usage_and_missing_credentials(
    words: list[str], status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    found, out, err = run(capsys, *words)
    assert found == status
    assert out == ""
    assert err.startswith("error: ")


def test_no_controller_named(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JWT", TOKEN)
    monkeypatch.setitem(sys.modules, "dns.resolver", None)
    status, _, err = run(capsys)
    assert status == errors.USAGE.status
    assert "_slurmctld._tcp" in err


INCOMPLETE = (
    ConfigFile(b"slurm.conf", exists=True, content=b"ClusterName=c\nInclude lost.conf\ninclude sub/x.conf\n"),
    ConfigFile(b"p.sh", exists=True, execute=True, content=b"#!/bin/sh\n# cut"),
    ConfigFile(b"q.sh", exists=False, execute=True),
    ConfigFile(b"prog", exists=True, execute=True, content=b"\x7fELF\x02\x01\x01"),
)


def test_an_incomplete_set_is_a_warning_or_with_strict_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JWT", TOKEN)
    place = tmp_path / "conf"
    with running(released("26.05", INCOMPLETE)) as one:
        words = ("--set", "slurmd", "-o", str(place), str(one.server))
        status, _, err = run(capsys, "--strict", *words)
        assert status == errors.INCOMPLETE.status
        assert not place.exists()
        status, _, err = run(capsys, *words)
    assert status == 0
    assert err.count("warning: ") == 5
    for words_of_it in ("lost.conf", "sub/x.conf", "q.sh", "p.sh has no end of line", "prog is a program"):
        assert words_of_it in err


def test_a_set_without_slurm_conf_empties_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JWT", TOKEN)
    place = tmp_path / "conf"
    with running(released("26.05")) as one:
        assert run(capsys, "-o", str(place), str(one.server))[0] == 0
    with running(released("26.05", ())) as one:
        assert run(capsys, "-o", str(place), str(one.server))[0] == errors.MALFORMED.status
    assert (place / "slurm.conf").exists()


def test_an_unsafe_name_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JWT", TOKEN)
    files = (*FILES, ConfigFile(b"../up.sh", exists=True, execute=True, content=b"#!\n"))
    with running(released("26.05", files)) as one:
        status, _, err = run(capsys, "-o", str(tmp_path / "in" / "conf"), str(one.server))
    assert status == errors.UNSAFE.status
    assert "../up.sh" in err
    assert not (tmp_path / "in").exists()


def test_a_bug_shows_a_place_and_no_values(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JWT", TOKEN)

    def broken(*_: object) -> None:
        raise RuntimeError(TOKEN)

    monkeypatch.setattr(client, "fetch", broken)
    status, out, err = run(capsys, "h")
    assert (status, out) == (errors.BUG.status, "")
    assert "RuntimeError at" in err


def test_a_token_file_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "token").write_text(f"SLURM_JWT={TOKEN}\n")
    with running(released("26.05")) as one:
        words = ("--token-file", str(tmp_path / "token"), "-o", str(tmp_path / "conf"), str(one.server))
        assert run(capsys, *words)[0] == 0


def test_the_command_imports_little(tmp_path: Path) -> None:
    """A fetch needs none of these; the benchmark shows what the others cost."""
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from lab.siphon.cli import main\n"
        "status = main(sys.argv[1:])\n"
        "print(*sys.modules, file=sys.stderr)\n"
        "sys.exit(status)\n"
    )
    with running(released("24.11")) as one:
        command = [sys.executable, "-I", "-S", "-c", code, "-o", str(tmp_path / "conf"), str(one.server)]
        env = {**os.environ, "SLURM_JWT": TOKEN}
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    heavy = {"dataclasses", "hashlib", "inspect", "logging", "pathlib", "shutil", "threading", "typing"}
    assert not heavy & set(done.stderr.split())


def test_a_closed_pipe_is_no_error() -> None:
    command = f"{sys.executable} -m lab.siphon --help | true; true"
    done = subprocess.run(["/bin/sh", "-c", command], cwd=ROOT, capture_output=True, check=False)
    assert done.stderr == b""
