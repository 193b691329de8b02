"""The command line on the fake backend: results, exit codes, messages, questions, locks."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import click
import pexpect
import pytest
from click.testing import CliRunner, Result

from lab.backends.base import Finding, ImageFormat, Protection, Storage
from lab.backends.docker.backend import DockerBackend
from lab.backends.fake import FakeBackend
from lab.backends.libvirt.backend import LibvirtBackend
from lab.backends.libvirt.storage import ROOT as ROOT_OF_MACHINES
from lab.cli.app import App
from lab.cli.arguments import TAKE_VALUE, command_first
from lab.cli.main import SECTIONS, main
from lab.cli.shell import split_command
from lab.errors import Exit, LabError
from lab.images.pipeline import ImageRecord
from lab.model import LabRecord, Power
from lab.printable import console_text

ROOT = Path(__file__).resolve().parents[3]
OWN = [name for section in ("Lab", "Inspection", "Maintenance") for name in SECTIONS[section]]


class ReplacedError(BaseException):
    """Stands for the moment at which `lab` becomes another program."""


@dataclass
class Desk:
    """Somebody at a command line."""

    backend: FakeBackend
    folder: Path
    environ: Mapping[str, str]
    someone: bool = False
    became: Sequence[str] = ()
    harmless: bool = False

    def __call__(self, *args: str, answer: str | None = None, **environ: str) -> Result:
        app = App(
            {**self.environ, **environ},
            folder=self.folder,
            open_backend=self._open,
            replace=self._replace,
            attend=self._attend,
            argv=args,
        )
        if self.someone:
            app.__class__ = AtTerminal
        try:
            return CliRunner().invoke(main, list(args), obj=app, input=answer, env=dict(environ))
        except ReplacedError:
            return Result(CliRunner(), b"", b"", b"", None, 0, None)

    def json(self, *args: str) -> Any:
        """The JSON a command prints; it must succeed."""
        result = self(*args, "--json")
        assert result.exit_code == 0, result.output
        found = json.loads(result.stdout)
        assert found["schema"] == 1
        return found

    def _open(self, name: str) -> FakeBackend:
        if name != "docker":
            raise LabError(f"this test has no {name}")
        return self.backend

    def _attend(self, argv: Sequence[str], hang_up: Sequence[str], *, harmless: bool) -> int:
        self.harmless = harmless
        assert hang_up[-1] in argv  # the mark, without which nothing would be found to end
        self.became = argv
        return 7

    def _replace(self, argv: Sequence[str]) -> NoReturn:
        self.became = argv
        raise ReplacedError


class AtTerminal(App):
    """An App that can ask."""

    @property
    def interactive(self) -> bool:
        return True


@pytest.fixture
def desk(backend: FakeBackend, tmp_path: Path) -> Desk:
    folder = tmp_path / "here"
    folder.mkdir()
    home = tmp_path / "home"
    environ = {"HOME": str(home), "XDG_RUNTIME_DIR": str(tmp_path / "run")}
    return Desk(backend, folder, environ)


@pytest.fixture
def up(desk: Desk) -> Desk:
    assert desk("up", "--progress", "quiet").exit_code == 0
    desk.backend.calls.clear()
    return desk


# help


def test_help_lists_every_command_without_importing_one() -> None:
    code = (
        "import sys\nfrom lab.cli.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(sorted(m for m in sys.modules if m.startswith(('lab.', 'rich', 'docker', 'pexpect'))),"
        " file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    for name in (name for section in SECTIONS.values() for name in section):
        assert re.search(rf"^  {name} ", done.stdout, flags=re.MULTILINE)
    assert (
        done.stderr.strip() == "['lab.cli', 'lab.cli.app', 'lab.cli.arguments', 'lab.cli.main', 'lab.errors']"
    )


@pytest.mark.parametrize("name", OWN)
def test_each_command_has_help_that_agrees_with_the_table(name: str) -> None:
    told = next(section[name] for section in SECTIONS.values() if name in section)
    command = main.get_command(click.Context(main), name)
    assert command is not None
    assert command.get_short_help_str(limit=200) == told
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0
    assert " ".join(told.split()[:3]).rstrip(".") in " ".join(result.output.split())


def test_an_unknown_command_names_the_nearest(desk: Desk) -> None:
    result = desk("stauts")
    assert result.exit_code == Exit.USAGE
    assert "Did you mean status?" in result.stderr


# up


def test_up_tells_steps_on_stderr_and_the_result_on_stdout(desk: Desk) -> None:
    result = desk("up", "--progress", "plain")
    assert result.exit_code == 0
    assert result.stdout == "lab lab is up\n"
    assert re.search(
        r"^\[ +\d+\.\d s\] create sms, login, c1, c2, g1, g2, outside, client$", result.stderr, re.MULTILINE
    )
    assert re.search(r"\] login: waits in its PXE loop$", result.stderr, re.MULTILINE)


def test_up_dry_run_shows_the_plan_and_does_nothing(desk: Desk) -> None:
    result = desk("up", "--dry-run", "--set", "g.count=0")
    assert (
        result.stdout
        == "1. create sms, login, c1, c2, outside, client\n2. wait for sms, login, c1, c2, outside, client\n"
    )
    plan = desk.json("up", "--dry-run")["plan"]
    assert [step["action"] for step in plan] == ["create", "wait for"]
    assert desk.backend.calls == []


def test_up_json_lists_the_nodes(desk: Desk) -> None:
    nodes = desk.json("up", "--progress", "quiet")["nodes"]
    assert {row["node"]: row["answer"] for row in nodes} == dict.fromkeys(
        ["sms", "login", "c1", "c2", "g1", "g2", "outside", "client"], "yes"
    )


def test_up_progress_as_json_is_one_object_a_line(desk: Desk) -> None:
    lines = [json.loads(line) for line in desk("up", "--progress", "json").stderr.splitlines()]
    assert {line["event"] for line in lines} == {"step", "reading"}
    assert all(line["schema"] == 1 for line in lines)


def test_up_that_fails_says_what_evidence_and_next_command(desk: Desk) -> None:
    desk.backend.stuck["c2"] = ("vnfs", "no VNFS assigned to c2")
    result = desk("up", "--timeout", "1", "--progress", "quiet")
    assert result.exit_code == Exit.BROKEN
    assert result.stderr == (
        "error: node c2 was not up after 1 s\n"
        "  booted: not yet; stage vnfs: no VNFS assigned to c2\n"
        "hint: lab console c2\n"
    )
    assert result.stdout == ""


def test_up_brings_the_same_lab_back_without_being_told_its_shape_again(desk: Desk) -> None:
    assert desk("up", "--set", "g.count=0", "--progress", "quiet").exit_code == 0
    desk.backend.calls.clear()
    assert desk("up", "--progress", "quiet").exit_code == 0
    assert desk.backend.calls == []


def test_up_asks_before_nodes_are_lost(up: Desk) -> None:
    refused = up("up", "--set", "g.count=0", "--progress", "quiet")
    assert refused.exit_code == Exit.USAGE
    assert "remove g1, g2" in refused.stderr
    assert "--yes" in refused.stderr
    assert up.backend.calls == []
    assert up("up", "--set", "g.count=0", "-y", "--progress", "quiet").exit_code == 0
    assert "g1" not in up.backend.found["lab"].power


def test_up_does_what_its_dry_run_lists(up: Desk) -> None:
    up.backend.stop("lab", ["g2"], hard=True)
    up.backend.calls.clear()
    sets = ("--set", "c.count=3", "--set", "client.memory=2048")
    listed = up("up", "--dry-run", *sets).stdout.splitlines()
    rows = up.json("up", "--dry-run", *sets)["plan"]
    assert up.backend.calls == []
    before = up.backend.found["lab"].spec.node("client").memory
    done = up("up", "-y", "--progress", "plain", *sets)
    steps = [line.partition(". ")[2] for line in listed]
    assert steps[:-1] == [
        f"remake client: memory {before} → 2048",
        "create c3",
        "change sms: description of the cluster",
        "power on g2",
    ]
    assert [line.partition("] ")[2] for line in done.stderr.splitlines()][: len(steps) - 1] == steps[:-1]
    assert up.backend.calls == [f"apply {'; '.join(steps[:-1])}"]
    assert [f"{row['action']} {', '.join(row['nodes'])}" for row in rows][1] == "create c3"
    assert rows[0]["reason"] == f"memory {before} → 2048"


def test_the_question_quotes_the_plan_with_its_reasons(up: Desk) -> None:
    up.someone = True
    refused = up("up", "--set", "client.memory=2048", "--progress", "quiet", answer="n\n")
    assert refused.exit_code == Exit.USAGE
    assert "remake client: memory" in refused.stderr
    assert "All data on these nodes will be lost" in refused.stderr
    assert up.backend.calls == []
    assert up("up", "--set", "client.memory=2048", "--progress", "quiet", answer="y\n").exit_code == 0
    assert up.backend.found["lab"].made["client"][1].memory == 2048


def test_up_reports_every_problem_of_the_configuration(desk: Desk) -> None:
    (desk.folder / "lab.toml").write_text("rot = 1\n[nodes.c]\ncount = 999\n")
    result = desk("up")
    assert result.exit_code == Exit.USAGE
    assert "error: the configuration has 2 problems" in result.stderr
    assert "lab.toml:1: rot: no such key" in result.stderr
    assert "lab.toml:3: nodes.c.count = 999" in result.stderr


def test_options_can_be_variables(desk: Desk) -> None:
    result = desk("up", LAB_NAME="other", LAB_PROGRESS="quiet", LAB_UP_DRY_RUN="1", LAB_SET="c.count=1")
    assert result.stdout.startswith("1. create sms, login, c1, g1, g2, outside, client")
    result = desk("up", LAB_NAME="other", LAB_PROGRESS="quiet", LAB_JSON="1")
    assert json.loads(result.stdout)["lab"] == "other"


# looking


def test_status_shows_what_each_node_waits_for(up: Desk) -> None:
    up.backend.tell_slurm("lab", "c1", "IDLE+DRAIN", "fan")
    up.backend.stop("lab", ["g2"], hard=True)
    text = up("status").stdout
    assert re.search(
        r"^c1 +compute +on +init +set by operator +in Slurm: idle\+drain: fan$", text, re.MULTILINE
    )
    off = r"^g2 +compute +off +off +not yet +its power is off \(awaited: chassis is on\)$"
    assert re.search(off, text, re.MULTILINE)
    assert re.search(r"^login +login +on +pxe +ready +waits in its PXE loop", text, re.MULTILINE)
    rows = {row["node"]: row for row in up.json("status")["nodes"]}
    assert (rows["g2"]["power"], rows["g2"]["answer"]) == ("off", "no")
    assert rows["sms"]["since"] >= 0
    assert (rows["c1"]["state"], rows["sms"]["state"]) == ("set by operator", "ready")


def test_status_of_an_sms_that_does_not_answer_is_not_well(up: Desk) -> None:
    up.backend.found["lab"].stage["sms"] = "disk"
    rows = {row["node"]: row for row in up.json("status")["nodes"]}
    assert rows["c1"]["answer"] == "unknown"
    assert rows["c1"]["evidence"] == "the SMS has not booted"


def test_status_finds_nodes_whose_names_nobody_guesses(up: Desk) -> None:
    lab = up.backend.found["lab"]
    names = {"sms": "head", "login": "front"}
    for old, new in names.items():
        (up.backend.root / "lab" / old).rename(up.backend.root / "lab" / new)
        lab.power[new], lab.stage[new] = lab.power.pop(old), "init"
    nodes = tuple(replace(node, name=names.get(node.name, node.name)) for node in lab.spec.nodes)
    lab.spec = replace(lab.spec, nodes=nodes)
    rows = {row["node"]: row for row in up.json("status")["nodes"]}
    assert (rows["head"]["answer"], rows["head"]["probe"]) == ("yes", "slurmctld answers")
    assert (rows["front"]["answer"], rows["front"]["probe"]) == ("yes", "system runs")
    assert rows["c1"]["answer"] == "yes"


@pytest.mark.parametrize("command", [["status"], ["shell", "sms"], ["credentials"], ["power", "on", "c1"]])
def test_a_lab_that_is_not_there(desk: Desk, command: list[str]) -> None:
    result = desk(*command)
    assert result.exit_code == Exit.USAGE
    assert result.stderr == "error: there is no lab called lab\nhint: lab up creates it\n"


def test_ls_of_nothing_is_an_empty_list(desk: Desk) -> None:
    assert desk.json("ls")["labs"] == []
    result = desk("ls")
    assert (result.stdout, result.stderr) == ("", "there is no lab on backend docker; lab up creates one\n")


def test_ls_lists_labs_and_orphans(up: Desk) -> None:
    up.backend.orphans = (LabRecord("lost", "docker", "me", "2026", ("c1",), 1, None),)
    rows = {row["lab"]: row for row in up.json("ls")["labs"]}
    assert (rows["lab"]["running"], rows["lab"]["orphan"]) == (8, False)
    assert rows["lost"]["orphan"] is True
    assert "orphan: lab down -l lost" in up("ls").stdout


def test_console_shows_colours_and_nothing_that_steers_the_terminal(up: Desk) -> None:
    up.backend.found["lab"].console["c1"] = b"one\r\n\x1b[32mtwo\x1b[0m\x1b[2J\x1b]0;title\x07\r\nthree\n"
    assert up("console", "c1").stdout.replace("\x1b[32m", "").replace("\x1b[0m", "") == "one\ntwo\nthree\n"
    assert up("console", "c1", "-n", "1").stdout == "three\n"
    assert up("console", "c9").exit_code == Exit.USAGE


def test_an_attached_console_becomes_the_backends_program(up: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr("lab.cli.output.note", said.append)
    up.someone = True
    up("console", "c1", "--attach")
    assert up.became == up.backend.attach("lab", "c1")
    assert said == ["connected to the console of c1: press Enter for a prompt, Ctrl-] to leave"]


@pytest.mark.parametrize("other", [["-f"], ["-n", "0"]])
def test_an_attached_console_cannot_be_shown_as_well(up: Desk, other: list[str]) -> None:
    up.someone = True
    result = up("console", "c1", "--attach", *other)
    assert result.exit_code == Exit.USAGE
    assert result.stderr == (
        "error: --attach cannot be combined with --follow or --lines\nhint: lab console c1 --attach\n"
    )
    assert not up.became


def test_attaching_takes_a_terminal_and_a_node_under_power(up: Desk) -> None:
    result = up("console", "c1", "--attach")
    assert result.exit_code == Exit.USAGE
    assert result.stderr == "error: --attach needs a terminal\nhint: lab console c1\n"
    up.backend.stop("lab", ["c1"], hard=True)
    up.someone = True
    result = up("console", "c1", "--attach")
    assert result.exit_code == Exit.BROKEN
    assert result.stderr == "error: c1 is off\nhint: lab power on c1\n"
    assert up("console", "c9", "--attach").exit_code == Exit.USAGE
    assert not up.became


def test_logs_is_the_journal_or_the_console(up: Desk) -> None:
    assert up("logs", "sms", "-n", "5", "-u", "slurmctld", "-f").exit_code == 7
    words = ["journalctl", "--no-pager", "-n", "5", "-f", "--unit=slurmctld"]
    assert list(up.became[-len(words) :]) == words
    up.backend.found["lab"].console["login"] = b"PXE\n"
    result = up("logs", "login")
    assert result.stdout == "PXE\n"
    assert "login has no journal yet (stage pxe); showing its console" in result.stderr


# options before the command, half an output, plain terminals


@pytest.mark.parametrize(
    ("args", "arranged"),
    [
        ("-l mine up --wait", "up -l mine --wait"),
        ("--lab=mine -y --backend docker down", "--backend docker down --lab=mine -y"),
        ("--json --set c.count=3 up", "up --json --set c.count=3"),
        ("-lmine shell sms ls -l", "shell -lmine sms ls -l"),
        ("-l mine", "-l mine"),
        ("-h", "-h"),
        ("status -l mine", "status -l mine"),
        ("", ""),
    ],
)
def test_options_of_a_command_may_stand_before_it(args: str, arranged: str) -> None:
    assert command_first(args.split()) == arranged.split()


def test_which_options_take_a_value_is_known_without_importing_the_commands() -> None:
    options = [
        option
        for name in main.list_commands(click.Context(main))
        for command in _with_subcommands(main.get_command(click.Context(main), name))
        for option in command.params
        if isinstance(option, click.Option)
    ]
    flags = {word for one in options if one.is_flag for word in (*one.opts, *one.secondary_opts)}
    assert {word for one in options if not one.is_flag for word in one.opts} - {"--backend"} == TAKE_VALUE
    assert not flags & TAKE_VALUE


def _with_subcommands(command: click.Command | None) -> list[click.Command]:
    assert command is not None
    return [command, *(command.commands.values() if isinstance(command, click.Group) else ())]


def test_an_option_before_the_command_is_the_commands(up: Desk) -> None:
    assert up("-l", "other", "status").stderr.startswith("error: there is no lab called other")
    assert up("-l", "lab", "status").exit_code == 0


def unread(*args: str, both: bool = False) -> subprocess.Popen[bytes]:
    """`lab`, whose output nobody reads."""
    ours, theirs = os.pipe()
    os.close(ours)
    code = "import sys; from lab.cli.main import main; main(sys.argv[1:])"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *args],
        cwd=ROOT,
        stdout=theirs,
        stderr=theirs if both else subprocess.PIPE,
    )
    os.close(theirs)
    return process


@pytest.mark.parametrize(
    "args", [["exercises"], ["--help"], ["ls", "--help"], ["show", "login_node"], ["completion", "bash"]]
)
def test_output_that_nobody_reads_ends_a_command_as_it_ends_any_other(args: list[str]) -> None:
    process = unread(*args)
    assert (process.communicate(timeout=30)[1], process.returncode) == (b"", 141)


@pytest.mark.parametrize("args", [["nonsense"], ["show", "no-such-exercise"]])
def test_messages_that_nobody_reads_cause_no_traceback(args: list[str]) -> None:
    assert unread(*args, both=True).wait(30) in (Exit.USAGE, 141)


@pytest.mark.parametrize("how", [{"TERM": "dumb"}, {"NO_COLOR": "1", "TERM": "xterm"}, {"TERM": "xterm"}])
@pytest.mark.parametrize("args", [["exercises"], ["show", "login_node"], ["ls", "--nonsense"]])
def test_a_plain_terminal_gets_no_escape_sequence(
    how: dict[str, str], args: list[str], tmp_path: Path
) -> None:
    code = "import sys; from lab.cli.main import main; main(sys.argv[1:])"
    environ = {**os.environ, "HOME": str(tmp_path), **how}
    child = pexpect.spawn(
        sys.executable, ["-c", code, *args], cwd=str(ROOT), env=environ, timeout=30, encoding="utf-8"
    )
    styled = "\x1b[" in child.read()
    child.close()
    assert styled is (how == {"TERM": "xterm"} and "--nonsense" not in args)


# shell


@pytest.mark.parametrize(
    ("args", "mine", "theirs"),
    [
        ("sms", "sms", ""),
        ("sms ls -l", "sms", "ls -l"),
        ("sms -u root ls -l", "sms -u root", "ls -l"),
        ("-u root sms -- -x", "-u root sms", "-x"),
        ("-l other sms --user root -- ls", "-l other sms --user root", "ls"),
        ("sms -- ls -- x", "sms", "ls -- x"),
        ("--help", "--help", ""),
    ],
)
def test_what_belongs_to_us_and_what_to_the_node(args: str, mine: str, theirs: str) -> None:
    assert split_command(args.split()) == (mine.split(), theirs.split())


@pytest.mark.parametrize(
    ("args", "user", "end"),
    [
        (["sms"], "user1", ["/bin/bash", "--norc"]),
        (["c1"], "root", ["/bin/bash", "--norc"]),
        (["c1", "-u", "user2", "ls", "-l"], "user2", ["ls", "-l"]),
        (["sms", "ls | wc"], "user1", ["/bin/sh", "-c", "ls | wc"]),
        (["-u", "root", "sms", "--", "sinfo"], "root", ["/bin/sh", "-c", "sinfo"]),
    ],
)
def test_shell_runs_the_backends_command(up: Desk, args: list[str], user: str, end: list[str]) -> None:
    assert up("shell", *args).exit_code == 7
    assert f"WHO={user}" in up.became
    assert list(up.became[-len(end) :]) == end


def test_shell_in_a_node_that_is_not_one(up: Desk) -> None:
    result = up("shell", "smss")
    assert result.exit_code == Exit.USAGE
    assert "there are: sms, login, c1, c2, g1, g2, outside, client" in result.stderr


# changing


def test_down_needs_a_yes_or_somebody_to_ask(up: Desk) -> None:
    refused = up("down")
    assert refused.exit_code == Exit.USAGE
    assert "repeat the command with --yes" in refused.stderr
    assert up.backend.found
    up.someone = True
    assert up("down", answer="n\n").exit_code == Exit.USAGE
    assert up.backend.found
    assert up("down", answer="y\n").exit_code == 0
    assert not up.backend.found


def test_down_of_nothing_is_fine_and_works_without_configuration(up: Desk) -> None:
    (up.folder / "lab.toml").write_text("[nodes.c]\ncount = 'nonsense'\n")
    assert up("down", "-y").exit_code == 0
    result = up("down")
    assert (result.exit_code, result.stderr) == (0, "there is nothing to remove\n")


def test_down_refuses_to_guess_which_lab_a_broken_file_means(up: Desk) -> None:
    (up.folder / "lab.toml").write_text("lab = \n")
    result = up("down", "-y")
    assert result.exit_code == Exit.USAGE
    assert "cannot find out which lab" in result.stderr
    assert up.backend.found
    assert up("down", "-y", LAB_NAME="lab", LAB_BACKEND="docker").exit_code == 0


def test_down_all_orphans_and_single_nodes(up: Desk) -> None:
    assert up("up", "-l", "two", "--progress", "quiet").exit_code == 0
    up.backend.orphans = (LabRecord("lost", "docker", "", "2026", ("c1",), 1, None),)
    assert up("down", "--orphans", "-y").stdout == "removed lab lost\n"
    assert sorted(up.backend.found) == ["lab", "two"]
    assert up("down", "-y", "c1", "-l", "two").stdout == "removed c1 of lab two\n"
    assert "c1" not in up.backend.found["two"].power
    assert up("down", "-y", "c7").exit_code == Exit.USAGE
    assert up("down", "--all", "--orphans", "-y").exit_code == Exit.USAGE
    up.backend.owner = "somebody-else"
    assert up("down", "--all", "-y").stderr == "there is nothing to remove\n"
    up.backend.owner = ""
    assert up("down", "--all", "-y").exit_code == 0
    assert not up.backend.found


def test_power(up: Desk) -> None:
    assert up("power", "off", "c1", "--progress", "quiet").stdout == "power off: c1\n"
    assert up.backend.found["lab"].power["c1"] is Power.OFF
    assert up("power", "on", "c1", "--progress", "quiet").exit_code == 0
    up.backend.calls.clear()
    assert up("power", "reset", "c1", "c2", "--progress", "quiet").exit_code == 0
    assert up.backend.calls == ["stop hard c1 c2", "start c1 c2"]
    assert up("power", "off", "c9").exit_code == Exit.USAGE
    assert up("power", "on").exit_code == Exit.USAGE


def test_snapshot_and_restore(up: Desk) -> None:
    assert up.json("snapshot")["snapshots"] == []
    assert up("snapshot", "before", "--progress", "quiet").exit_code == 0
    assert up.json("snapshot")["snapshots"] == ["before"]
    result = up("restore", "befor", "-y")
    assert (result.exit_code, "hint: lab restore before" in result.stderr) == (Exit.USAGE, True)
    assert up("restore", "before").exit_code == Exit.USAGE
    assert up("restore", "before", "-y", "--progress", "quiet").stdout == "lab lab is restored to before\n"
    assert up("snapshot", "../x").exit_code == Exit.USAGE


def test_what_is_kept_is_listed_and_removed(up: Desk) -> None:
    up.backend.saved_states.update({"after-one-a-b": {}, "after-two-a-b": {}})
    up("snapshot", "before", "--progress", "quiet")
    listed = up("snapshot", "--list").stdout.splitlines()
    assert [line.split()[0] for line in listed] == ["NAME", "before", "after-one-a-b", "after-two-a-b"]
    assert "every lab  1 MiB" in listed[2]
    assert [state["name"] for state in up.json("snapshot")["states"]] == ["after-one-a-b", "after-two-a-b"]
    assert up("snapshot", "--delete", "after-*").stdout == "deleted after-one-a-b, after-two-a-b\n"
    assert up("snapshot", "--delete", "before").exit_code == 0
    assert up.json("snapshot")["snapshots"] == up.json("snapshot")["states"] == []
    assert up("snapshot", "--delete", "gone").exit_code == Exit.USAGE
    assert up("snapshot", "--delete").exit_code == Exit.USAGE


def test_a_lab_that_was_interrupted_on_its_way_says_so(up: Desk) -> None:
    up.backend.found["lab"].pending = "handout"
    assert "restore of handout interrupted: lab up -l lab" in up("ls").stdout
    assert up.json("ls")["labs"][0]["pending"] == "handout"
    assert "lab up completes it" in up("status").stderr


@pytest.mark.parametrize(
    "command",
    [
        ["up", "--set", "c.count=3"],
        ["down", "-y"],
        ["power", "cycle", "c1"],
        ["snapshot", "x"],
        ["restore", "kept", "-y"],
    ],
)
def test_commands_that_change_the_lab_respect_its_lock_and_readers_do_not(
    up: Desk, command: list[str]
) -> None:
    up.backend.found["lab"].snapshots["kept"] = {}
    with up.backend.locks.hold("lab", "lab start login_node", print):
        result = up(*command, "--progress", "quiet")
        assert result.exit_code == Exit.LOCKED
        assert "lab start login_node" in result.stderr
        assert up("status").exit_code == 0
        assert up("ls").exit_code == 0
    assert up.backend.calls == []


CHANGES = [
    ["up", "--set", "c.count=3"],
    ["down"],
    ["power", "cycle", "c1"],
    ["snapshot", "x"],
    ["restore", "kept"],
]


@pytest.fixture
def theirs(up: Desk) -> Desk:
    """A lab that is another account's."""
    up.backend.owner = "alice"
    up.backend.found["lab"].snapshots["kept"] = {}
    return up


@pytest.mark.parametrize("command", CHANGES)
def test_who_would_change_anothers_lab_is_asked_or_told(theirs: Desk, command: list[str]) -> None:
    sure = [] if command[0] in {"power", "snapshot"} else ["-y"]
    words = [*command, "--progress", "quiet"]
    if not sure:  # nobody can be asked
        refused = theirs(*words)
        assert refused.exit_code == Exit.USAGE
        assert refused.stderr.startswith("error: lab lab belongs to alice\n")
        assert "export LAB_OWNER=alice" in refused.stderr
    else:
        assert "lab lab belongs to alice\n" in theirs(*words, *sure).stderr
        return
    theirs.someone = True
    refused = theirs(*words, answer="n\n")
    assert "Lab lab belongs to alice. Change it all the same?" in refused.stderr
    assert refused.exit_code == Exit.USAGE
    assert theirs.backend.calls == []
    assert list(theirs.backend.found["lab"].snapshots) == ["kept"]
    assert theirs(*words, answer="y\n").exit_code == 0


@pytest.mark.parametrize("command", CHANGES)
def test_who_means_anothers_labs_says_so_once(theirs: Desk, command: list[str]) -> None:
    sure = [] if command[0] in {"power", "snapshot"} else ["-y"]
    done = theirs(*command, *sure, "--progress", "quiet", LAB_OWNER="alice")
    assert done.exit_code == 0
    assert "belongs" not in done.stderr


def test_who_copies_into_anothers_lab_is_told(theirs: Desk) -> None:
    note = theirs.folder / "note.txt"
    note.write_text("hello")
    place = theirs.backend.folder("lab", "sms")
    done = theirs("cp", str(note), f"sms:{place}/note.txt")
    assert (done.exit_code, done.stderr) == (0, "lab lab belongs to alice\n")
    assert theirs("cp", str(note), f"sms:{place}/note.txt", LAB_OWNER="alice").stderr == ""


def test_the_default_name_does_not_lead_into_anothers_lab(theirs: Desk) -> None:
    refused = theirs("up", "--progress", "quiet")
    assert refused.exit_code == Exit.USAGE
    assert "-l NAME for a lab of your own" in refused.stderr
    assert theirs.backend.calls == []
    assert theirs("up", "-l", "mine", "--progress", "quiet").exit_code == 0
    assert "alice" in theirs("ls").stdout
    assert theirs("status").exit_code == 0


def test_what_only_has_a_labs_name_is_told_before_it_goes_and_never_goes_with_many(up: Desk) -> None:
    up.backend.strays["lab"] = ("volume rackling-lab-identity",)
    lost = LabRecord("lost", "docker", "", "", (), 0, None, strays=("volume rackling-lost-home",))
    up.backend.orphans = (lost,)
    assert "without its label: volume rackling-lost-home; lab down -l lost" in up("ls").stdout
    assert up("down", "--orphans", "-y").stderr == "there is nothing to remove\n"
    up.someone = True
    asked = " ".join(up("down", answer="n\n").stderr.split())
    assert "Called as lab lab, and without its label: volume rackling-lab-identity." in " ".join(
        asked.split()
    )
    up.someone = False
    told = up("down", "-l", "lost", "-y", "--progress", "quiet")
    assert "without its label: volume rackling-lost-home" in told.stderr
    assert told.stdout == "removed lab lost\n"


def test_start_states_are_listed_and_deleted_without_a_lab(desk: Desk) -> None:
    empty = desk("snapshot", "-l", "no-such-lab", "--list")
    assert (empty.exit_code, empty.stdout) == (0, "")
    assert empty.stderr == "there is no lab called no-such-lab, and no start state\n"
    desk.backend.saved_states["after-one"] = {}
    desk.backend.saved_states["after-two"] = {}
    listed = desk("snapshot", "-l", "no-such-lab", "--list")
    assert "after-one" in listed.stdout
    assert listed.stderr == "there is no lab called no-such-lab; every lab has these start states\n"
    found = desk.json("snapshot", "-l", "no-such-lab")
    assert [state["name"] for state in found["states"]] == ["after-one", "after-two"]
    assert found["snapshots"] == []
    assert desk("snapshot", "-l", "no-such-lab", "--delete", "after-one").stdout == "deleted after-one\n"
    assert list(desk.backend.saved_states) == ["after-two"]
    assert desk("snapshot", "-l", "no-such-lab", "--delete", "after-one").exit_code == Exit.USAGE
    assert desk("snapshot", "-l", "no-such-lab", "mine").exit_code == Exit.USAGE


def test_cp_both_ways(up: Desk) -> None:
    inside = up.backend.folder("lab", "sms") / "files"
    (inside / "folder").mkdir(parents=True)
    note = up.folder / "note.txt"
    note.write_text("hello")
    assert up("cp", str(note), f"sms:{inside}/folder").exit_code == 0
    assert (inside / "folder" / "note.txt").read_text() == "hello"
    assert up("cp", str(note), f"sms:{inside}/renamed").exit_code == 0
    assert (inside / "renamed").read_text() == "hello"
    assert up("cp", f"sms:{inside}/folder", str(up.folder / "back")).exit_code == 0
    assert (up.folder / "back" / "note.txt").read_text() == "hello"
    assert up("cp", f"sms:{inside}/renamed", str(up.folder)).exit_code == 0
    assert (up.folder / "renamed").read_text() == "hello"
    assert up("cp", "a", "b").exit_code == Exit.USAGE
    assert up("cp", "sms:a", "c1:b").exit_code == Exit.USAGE


def test_cp_says_in_one_sentence_what_was_left_out_or_failed(up: Desk) -> None:
    inside = up.backend.folder("lab", "sms")
    (inside / "files").mkdir()
    (inside / "files" / "link").symlink_to("/etc")
    result = up("cp", f"sms:{inside}/files", str(up.folder / "files"))
    assert (result.exit_code, result.stderr) == (
        0,
        "not copied: ./link (a link out of the folder, to /etc)\n",
    )
    result = up("cp", f"sms:{inside}/none", str(up.folder))
    assert result.exit_code == Exit.USAGE
    assert result.stderr == (
        f"error: cannot copy sms:{inside}/none to {up.folder}\n  there is no {inside}/none\n"
    )
    result = up("cp", str(up.folder / "none"), "sms:/tmp")
    assert result.exit_code == Exit.USAGE
    assert result.stderr == f"error: {up.folder}/none does not exist on this host\n"


# the rest


def test_credentials(up: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    place = up.backend.folder("lab", "sms") / "credentials.json"
    monkeypatch.setattr("lab.cli.credentials.PLACE", str(place))
    result = up("credentials")
    assert result.exit_code == Exit.BROKEN
    assert "No such file" in result.stderr
    place.write_text('{"users": [{"name": "user1", "password": "s3cret"}]}')
    assert re.search(r"^user1 +s3cret$", up("credentials").stdout, re.MULTILINE)
    found = up.json("credentials")
    assert found["users"] == [{"name": "user1", "password": "s3cret"}]
    assert found["login"][0]["mac"] == up.backend.found["lab"].spec.node("login").mac
    place.write_text("[]")
    assert up("credentials").exit_code == Exit.BROKEN


def test_validate(desk: Desk) -> None:
    assert (
        desk("validate").stdout
        == "the built-in configuration is valid: lab lab, sms, login, c1, c2, g1, g2, outside, client\n"
    )
    assert json.loads(desk("validate", "--schema").stdout)["title"] == "lab.toml"
    assert len(desk.json("validate")["nodes"]) == 8
    assert desk("validate", "--set", "c.count=x").exit_code == Exit.USAGE


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(desk: Desk, shell: str) -> None:
    assert "_LAB_COMPLETE" in desk("completion", shell).stdout


@pytest.mark.parametrize(
    ("words", "wanted"),
    [("lab sta", "status"), ("lab shell c", "c1"), ("lab power cy", "cycle"), ("lab up --dr", "--dry-run")],
)
def test_the_shell_completes_commands_options_and_nodes(tmp_path: Path, words: str, wanted: str) -> None:
    environ = {
        **os.environ,
        "_LAB_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [sys.executable, "-m", "lab.cli.main"],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert f"plain,{wanted}" in done.stdout.splitlines()


def test_doctor_ends_each_finding_with_its_fix(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.cli.doctor._images", lambda _app: Finding("images", True, "all built"))
    monkeypatch.setattr("lab.cli.doctor._inotify", lambda: Finding("inotify instances", True, "8192"))
    monkeypatch.setattr("lab.cli.doctor.NEEDED_GIB", 0.0)
    assert desk("doctor").exit_code == 0
    desk.backend.findings = (Finding("cgroups", None, "no /sys/fs/cgroup", "mount it"),)
    result = desk("doctor")
    assert result.exit_code == Exit.UNKNOWN
    assert re.search(r"^unknown +cgroups: no /sys/fs/cgroup$", result.stdout, re.MULTILINE)
    desk.backend.findings = (Finding("engine", False, "no socket", "sudo systemctl start docker"),)
    result = desk("doctor")
    assert result.exit_code == Exit.BROKEN
    assert "engine: no socket\n" in result.stdout
    assert "fix: sudo systemctl start docker" in result.stdout
    subjects = {row["subject"] for row in json.loads(desk("doctor", "--json").stdout)["findings"]}
    assert {"engine", "disk space", "inotify instances"} <= subjects


def test_doctor_shows_in_a_table_which_protection_this_host_gives(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.cli.doctor._images", lambda _app: Finding("images", True, "all built"))
    monkeypatch.setattr("lab.cli.doctor._inotify", lambda: Finding("inotify instances", True, "8192"))
    monkeypatch.setattr("lab.cli.doctor.NEEDED_GIB", 0.0)
    assert "PROTECTION" not in desk("doctor").stdout
    desk.backend.protections = (
        Protection("walls", "the garden", given=True, evidence="2 m", advice="none is shown"),
        Protection("gate", "the garden", given=False, evidence="stands\x1b[2J open", advice="shut it"),
        Protection("dog", "the house", given=None, evidence="asleep"),
    )
    result = desk("doctor")
    assert result.exit_code == 0, "no protection is needed to run labs"
    assert [line.split() for line in result.stdout.splitlines()[-4:]] == [
        ["PROTECTION", "HERE", "PROTECTS", "EVIDENCE", "WHAT", "TO", "DO"],
        ["walls", "yes", "the", "garden", "2", "m"],
        ["gate", "no", "the", "garden", "stands", "open", "shut", "it"],
        ["dog", "unknown", "the", "house", "asleep"],
    ]
    rows = json.loads(desk("doctor", "--json").stdout)["protections"]
    assert [row["given"] for row in rows] == [True, False, None]
    assert rows[0] == {"name": "walls", "protects": "the garden", "given": True, "evidence": "2 m",
                       "advice": "none is shown"}  # fmt: skip


@pytest.mark.parametrize("form", list(ImageFormat))
def test_doctor_looks_at_the_disk_and_the_images_of_the_backend(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, form: ImageFormat
) -> None:
    disk = tmp_path / "engine"
    disk.mkdir()
    unbuilt = [ImageRecord(name, "c0ffee", built=False, size=0, created="") for name in ("disk", "image")]
    monkeypatch.setattr("lab.images.disk.inventory", lambda _store, **_: unbuilt[:1])
    monkeypatch.setattr("lab.images.pipeline.inventory", lambda _store, **_: unbuilt[1:])
    monkeypatch.setattr(
        "shutil.disk_usage", lambda path: SimpleNamespace(free=2**30 if Path(path) == disk else 2**40)
    )
    desk.backend.place = Storage(disk / "not" / "yet", "throw something away")
    monkeypatch.setattr(desk.backend, "image_format", form)
    found = {row["subject"]: row for row in json.loads(desk("doctor", "--json").stdout)["findings"]}
    room, images = found["disk space"], found["images"]
    assert not room["ok"]
    assert f"1.0 GiB free in {disk}," in room["evidence"]
    assert room["fix"] == "throw something away"
    assert images["evidence"] == f"not built: {'disk' if form is ImageFormat.DISK else 'image'}"
    assert images["fix"] == "lab --backend docker images build"


@pytest.mark.parametrize(
    ("built", "outdated", "evidence"),
    [
        (True, False, "all are up to date"),
        (False, False, "all are up to date"),
        (False, True, "outdated, and labs that are made of them are refused: sms-nobody"),
    ],
)
def test_doctor_and_images_ls_name_outdated_images_of_nobody(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, built: bool, outdated: bool, evidence: str
) -> None:
    """Who never built them needs none."""
    sms = ImageRecord("sms", "c0ffee", built=True, size=1, created="")
    nobody = replace(sms, name="sms-nobody", built=built, outdated=outdated, needed=False, variant=True)
    monkeypatch.setattr("lab.images.pipeline.inventory", lambda _store, **_: (sms, nobody))
    found = {row["subject"]: row for row in json.loads(desk("doctor", "--json").stdout)["findings"]}
    assert (found["images"]["ok"], found["images"]["evidence"]) == (not outdated, evidence)
    if outdated:
        assert found["images"]["fix"] == "lab --backend docker images build sms-nobody"
    listed = json.loads(desk("images", "ls", "--json").stdout)["images"]
    assert [(row["name"], row["outdated"]) for row in listed] == [("sms", False), ("sms-nobody", outdated)]
    shown = desk("images", "ls").stdout.splitlines()[2].split()
    assert shown[:2] == ["sms-nobody", "yes" if built else "outdated" if outdated else "no"]


def test_backends_say_where_they_store_labs_and_what_frees_room(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("lab.backends.docker.backend.ENGINE", tmp_path)
    assert DockerBackend().storage() == Storage(tmp_path, "docker system prune frees what no container uses")
    monkeypatch.setattr("lab.backends.docker.backend.ENGINE", tmp_path / "elsewhere")
    assert DockerBackend().storage().folder is None
    machines = LibvirtBackend().storage()
    assert machines.folder == ROOT_OF_MACHINES
    assert machines.cleanup.startswith("lab --backend libvirt down")


# the last catch


def breaks(problem: BaseException) -> Callable[..., NoReturn]:
    """A backend method that raises."""

    def method(*_: object, **__: object) -> NoReturn:
        raise problem

    return method


def test_the_unexpected_is_one_line_and_a_file(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk.backend, "labs", breaks(ZeroDivisionError("by\nzero")))
    result = desk("ls")
    assert result.exit_code == Exit.BROKEN
    first, second, hint = result.stderr.splitlines()
    assert first == "error: unexpected ZeroDivisionError: by zero"
    assert hint == "hint: to see the traceback, repeat the command with LAB_DEBUG=1 before it"
    place = Path(second.rpartition(" ")[2])
    assert "ZeroDivisionError" in place.read_text()
    assert place.stat().st_mode & 0o077 == 0
    assert "Traceback" in desk("ls", LAB_DEBUG="1").stderr


def test_records_of_the_unexpected_are_few_and_short(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node may have sent what they quote."""
    monkeypatch.setattr(desk.backend, "labs", breaks(ZeroDivisionError("x" * (1 << 20))))
    told = desk("ls").stderr
    place = Path(told.splitlines()[1].rpartition(" ")[2])
    assert (place.stat().st_size < 300_000, len(told) < 1000) == (True, True)
    place.unlink()  # the next record may have the same time and process
    for number in range(30):
        (place.parent / f"20000101T0000{number:02}-1.txt").touch()
    newest = Path(desk("ls").stderr.splitlines()[1].rpartition(" ")[2])
    kept = sorted(path.name for path in place.parent.iterdir())
    assert (len(kept), newest.name in kept) == (20, True)


@pytest.mark.parametrize(
    ("command", "method", "told"),
    [
        (["up"], "apply", "lab lab is incomplete; lab up completes it, lab down removes it"),
        (["ls"], "labs", "nothing was changed"),
    ],
)
def test_ctrl_c_says_what_stands(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, command: list[str], method: str, told: str
) -> None:
    monkeypatch.setattr(desk.backend, method, breaks(KeyboardInterrupt()))
    result = desk(*command, "--progress", "quiet") if command == ["up"] else desk(*command)
    assert result.exit_code == Exit.INTERRUPTED
    assert result.stderr.strip().endswith(f"interrupted: {told}")


def test_text_from_nodes_cannot_steer_the_terminal(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = LabError("bad \x1b[2Jname", evidence="\x1b]0;owned\x07line\x9b31m", hint="none\r")
    monkeypatch.setattr(desk.backend, "labs", breaks(problem))
    assert desk("ls").stderr == "error: bad name\n  line31m\nhint: none\n"
    assert console_text("\x1b[1;31mred\x1b[0m\x1b[5A\x07") == "\x1b[1;31mred\x1b[0m"


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    command = f"{sys.executable} -m lab.cli.main validate --schema | head -n 1"
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    done = subprocess.run(
        ["/bin/bash", "-c", f"set -o pipefail; {command}"],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert "Traceback" not in done.stderr
    assert done.stdout == "{\n"
