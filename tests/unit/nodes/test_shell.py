"""Consoles against real shells of this machine: nothing a node prints or does may fool them."""

from __future__ import annotations

import os
import re
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.nodes.interactive import Reply, Session
from lab.nodes.pty import ConsoleLost
from lab.nodes.shell import CommandTimeout, Console

SHELLS = [
    ["/bin/sh"],
    ["/bin/bash", "--norc"],
    *([found] for name in ("zsh", "fish", "tcsh") if (found := shutil.which(name))),
    *([found, "sh"] for name in ("busybox",) if (found := shutil.which(name))),
]


@pytest.fixture(params=SHELLS, ids=lambda argv: Path(argv[0]).name)
def console(request: pytest.FixtureRequest) -> Iterator[Console]:
    with Console(request.param) as found:
        yield found


@pytest.fixture
def plain() -> Iterator[Console]:
    with Console(["/bin/sh"]) as found:
        yield found


def test_status_and_output(console: Console) -> None:
    result = console.run("echo one; echo two >&2; exit 7")
    assert (result.exit_status, result.output) == (7, "one\ntwo\n")
    assert not result.ok
    assert console.run("true").ok


@pytest.mark.parametrize(
    ("command", "output"),
    [
        ("printf 'no newline'", "no newline"),
        ("printf ''", ""),
        ("printf 'a\\r\\nb\\n'", "a\r\nb\n"),
        (r"printf '\377\001ok'", "\ufffd\x01ok"),
        ("echo 'päper ✓'", "päper ✓\n"),
        ('cat <<E\n$HOME_IS_UNSET!$$x\nE\necho "a\'b"', None),
        ('cat; read x; echo "[$x]"', "[]\n"),
        ("echo '$ '; echo '# '; echo 'root@sms:~# '", "$ \n# \nroot@sms:~# \n"),
    ],
)
def test_odd_output_comes_through_unchanged(plain: Console, command: str, output: str | None) -> None:
    result = plain.run(command)
    assert result.exit_status in (0, 1)
    if output is not None:
        assert result.output == output


def test_printing_the_halves_of_the_marker_ends_nothing(plain: Console) -> None:
    plain.run("true")
    first, second = plain._halves
    result = plain.run(f"echo {first}; echo {second}; echo '{first}{second}[1:0:1]'; echo end")
    assert result.output.endswith("end\n")


def test_what_is_typed_is_never_taken_for_output(plain: Console) -> None:
    plain.run("stty echo </dev/tty")  # from now on the terminal repeats all that is typed
    result = plain.run("echo typed >/dev/null; stty -a </dev/tty | grep -o ' echo ' | head -n 1")
    assert result.output == " echo \n"


def test_a_command_changes_nothing_for_the_next(plain: Console) -> None:
    plain.run("cd /tmp; X=1; alias echo=false; set -eu; trap 'echo trapped' EXIT; PS1='fooled '; exit 3")
    assert plain.run("echo ${X-unset}; pwd").output == f"unset\n{Path.cwd()}\n"


@pytest.mark.parametrize("command", ["echo 'open", 'echo "open', "if true; then", "$((", "}", "case x in"])
def test_broken_syntax_is_a_status_and_not_a_hang(plain: Console, command: str) -> None:
    assert plain.run(command, timeout=5).exit_status != 0
    assert plain.run("echo fine").output == "fine\n"


def test_ten_megabytes_are_quick(plain: Console) -> None:
    result = plain.run("head -c 10000000 /dev/zero | tr '\\0' 'x'", timeout=20)
    assert result.output == "x" * 10_000_000
    assert result.seconds < 5


def test_commands_longer_than_a_terminal_line(plain: Console) -> None:
    words = "y" * 50_000
    assert plain.run(f"printf %s {words} | wc -c").output.strip() == "50000"
    assert plain.run("echo short").output == "short\n"


def test_long_lines_of_output(plain: Console) -> None:
    assert len(plain.run("printf '%090000d' 7").output) == 90_000


@pytest.mark.parametrize(
    "command",
    [
        "sleep 60",
        "trap '' INT; sleep 60",
        "trap '' INT QUIT; while :; do sleep 60; done",
        "trap '' INT QUIT TSTP; sleep 60",
        "stty raw </dev/tty; sleep 60",
        "(trap '' INT QUIT TSTP; exec sleep 60)",
    ],
)
def test_a_time_out_kills_the_command_and_leaves_the_console_usable(plain: Console, command: str) -> None:
    with pytest.raises(CommandTimeout) as caught:
        plain.run(f"echo before; echo $$ >/dev/null; {command}", timeout=0.3)
    assert caught.value.output == "before\n"
    assert "did not end within 0.3 s" in caught.value.message
    assert plain.run("echo after").output == "after\n"


def test_what_hangs_is_dead_after_the_time_out(plain: Console) -> None:
    token = f"61{os.getpid()}"
    with pytest.raises(CommandTimeout):
        plain.run(f"trap '' INT QUIT TSTP; sleep {token}", timeout=0.3)
    assert plain.run(f"pgrep -f 'sleep [6]{token[1:]}'").exit_status == 1


def test_late_output_of_the_background_is_not_the_next_commands(plain: Console) -> None:
    plain.run("(sleep 0.1; echo late) &")
    time.sleep(0.3)
    assert plain.run("echo mine").output == "mine\n"


def test_a_shell_that_dies_is_an_error_then_a_new_shell(plain: Console) -> None:
    with pytest.raises(ConsoleLost) as caught:
        plain.run("echo last words; kill -KILL $$; sleep 5")
    assert caught.value.output == "last words\n"
    assert "went away during" in caught.value.message
    assert plain.run("echo back").output == "back\n"


def test_a_shell_that_died_between_commands_is_opened_again(plain: Console) -> None:
    pid = int(plain.run("echo $$").output)
    os.kill(pid, signal.SIGKILL)
    time.sleep(0.1)
    assert plain.run("echo back").output == "back\n"


def test_a_shell_that_cannot_be_opened_says_why() -> None:
    with pytest.raises(ConsoleLost) as caught:
        Console(["/bin/sh", "-c", "echo 'error: c1 is not up: stage vnfs' >&2; exit 69"]).run("true")
    assert "error: c1 is not up: stage vnfs" in caught.value.evidence
    with pytest.raises(ConsoleLost, match="cannot start /does/not/exist"):
        Console(["/does/not/exist"]).run("true")


def test_a_users_tastes_do_not_reach_what_is_asked(tmp_path: Path) -> None:
    mail = tmp_path / "mail"
    mail.touch()
    tastes = ["SINFO_FORMAT=%n", "SLURM_TIME_FORMAT=relative", f"MAIL={mail}", "MAILCHECK=0"]
    with Console(["/usr/bin/env", *tastes, "/bin/sh"]) as console:
        assert console.run("true").output == ""
        mail.write_text("From root\n\nhello\n")
        assert console.run('echo "[$SINFO_FORMAT$SLURM_TIME_FORMAT]"').output == "[]\n"
        assert console.run("true").output == ""


def test_what_our_ctrl_c_kills_before_it_is_a_shell_is_started_again(tmp_path: Path) -> None:
    """Ctrl-C comes when the opening lines have been typed twice in vain, three seconds after the start."""
    starting = f"echo >>{tmp_path}/starts; sleep 4; exec /bin/sh"
    with Console(["sh", "-c", starting]) as console:
        assert console.run("echo here").output == "here\n"
    assert (tmp_path / "starts").read_text() == "\n\n"


def test_rc_files_that_talk_ask_and_dawdle(tmp_path: Path) -> None:
    rc = tmp_path / "rc"
    rc.write_text(
        "echo Welcome; printf '%s' 'y/n? '; read answer; sleep 0.4\n"
        "PS1='$(date) > '; PROMPT_COMMAND='echo prompt'; alias stty=false printf=false exec='exec '\n"
        "set -o vi; trap 'echo debug' DEBUG; export PS1\n"
    )
    with Console(["/bin/bash", "--rcfile", str(rc), "-i"]) as console:
        assert console.run("echo clean; exit 4").output == "clean\n"
        assert console.run("exit 4").exit_status == 4


def test_transcript_holds_commands_and_what_came_back(tmp_path: Path) -> None:
    place = tmp_path / "deep" / "log"
    with Console(["/bin/sh"], place) as console:
        console.run("echo shown")
    text = place.read_text()
    assert "$ echo shown\n" in text
    assert "shown\n" in text
    assert place.parent.stat().st_mode & 0o077 == 0


# sessions: typed where everybody can see it


class Screen:
    """What a learner saw."""

    def __init__(self) -> None:
        self.text = ""

    def __call__(self, text: str) -> None:
        self.text += text


@pytest.fixture
def screen() -> Screen:
    return Screen()


@pytest.fixture
def session(screen: Screen, tmp_path: Path) -> Iterator[Session]:
    rc = tmp_path / "rc"
    rc.write_text("PS1='[me@sms \\W]\\$ '\n")
    with Session(["/bin/bash", "--rcfile", str(rc)], screen) as found:
        yield found


def test_a_session_shows_prompt_command_and_output(session: Session, screen: Screen) -> None:
    result = session.type_visible("cd /usr; echo hello")
    assert (result.exit_status, result.output) == (0, "hello\n")
    session.type_visible("false")
    sign = "#" if os.getuid() == 0 else "$"
    lines = screen.text.splitlines()
    assert lines[0].endswith(f"]{sign} cd /usr; echo hello")
    assert lines[1:] == ["hello", f"[me@sms usr]{sign} false"]


def test_a_session_keeps_folder_functions_and_status(session: Session) -> None:
    session.type_visible("greet() { echo hi $1; }")
    assert session.type_visible("greet you").output == "hi you\n"
    assert session.type_visible("(exit 9)").exit_status == 9
    assert session.type_visible("echo $?").output == "9\n"
    assert session.type_visible("diff <(echo a) <(echo b) >/dev/null").exit_status == 1


def test_a_session_survives_what_learners_type(session: Session) -> None:
    assert session.type_visible("echo 'open", timeout=5).exit_status != 0
    assert session.type_visible(": ${UNSET?is missing}", timeout=5).exit_status != 0
    assert session.type_visible("echo it\\'s fine").output == "it's fine\n"
    assert session.type_visible("echo " + "z" * 9000 + " | wc -c").output.strip() == "9001"


def test_a_session_answers_questions(session: Session, screen: Screen) -> None:
    command = "read -p 'Are you sure? [y/N] ' a; read -p 'Really? ' b; echo \"<$a$b>\""
    replies = [Reply(re.compile("sure"), "y"), Reply(re.compile("Really"), "yes")]
    assert "<yyes>" in session.type_visible(command, replies, timeout=5).output
    assert "Are you sure? [y/N] y\nReally? yes\n" in screen.text


def test_a_session_streams_and_never_shows_a_marker(session: Session, screen: Screen) -> None:
    session.type_visible("for i in 1 2 3; do echo $i; sleep 0.02; done; printf end")
    assert screen.text.endswith("1\n2\n3\nend\n")
    assert not re.search(r"[0-9a-f]{16}", screen.text)


def test_a_session_that_hangs_is_stopped_and_goes_on(session: Session) -> None:
    with pytest.raises(CommandTimeout):
        session.type_visible("echo begun; sleep 60", timeout=0.3)
    assert session.type_visible("echo on").output == "on\n"


def test_slow_typing_takes_a_moment_for_each_letter(tmp_path: Path) -> None:
    del tmp_path
    naps: list[float] = []
    with Session(["/bin/bash", "--norc"], lambda _text: None, slow=True, sleep=naps.append) as session:
        session.type_visible("echo ab")
    assert len(naps) == len("echo ab") + 1
