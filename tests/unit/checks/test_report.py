"""The report: what a person reads, what a program reads, and the exit code."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text

from lab.checks.api import Outcome, Verdict
from lab.checks.judgement import Judgement, Step, one_line
from lab.checks.report import Style, as_data
from lab.checks.report import render as report_of
from lab.errors import Exit
from lab.printable import escaped

PASSED = Verdict("a", "The node is known.", "register", Outcome.PASSED)
FAILED = Verdict(
    "b",
    "Its MAC address is right.",
    "register",
    Outcome.FAILED,
    expected="52:54:00:1a",
    actual="52:54:00:1b",
    node="sms",
    look="wwsh node print login",
    hint="Compare pair by pair.",
)
BLOCKED = Verdict("c", "The node is up.", "boot", Outcome.BLOCKED, because=("b",))
BROKEN = Verdict(
    "d", "Its clock is right.", "boot", Outcome.BROKEN, actual="KeyError: 'x'", trace="Traceback: secret"
)
STEPS = (Step("register", "Introduce the node"), Step("boot", "Watch it boot"))


def render(found: Judgement, style: Style) -> str:
    """The report's words, without its styles."""
    return report_of(found, style).plain


def judgement(*verdicts: Verdict) -> Judgement:
    return Judgement("login_node", "A node nobody knows", STEPS, verdicts, 1.25)


def test_a_failed_check_says_expected_found_where_and_how_to_see_it() -> None:
    text = render(judgement(PASSED, FAILED, BLOCKED), Style())
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "✗ Its MAC address is right." in lines
    assert "expected 52:54:00:1a" in lines
    assert "found 52:54:00:1b" in lines
    assert "see it wwsh node print login (on sms)" in lines
    assert "think Compare pair by pair." in lines


def test_a_blocked_check_says_what_it_waits_for() -> None:
    text = render(judgement(PASSED, FAILED, BLOCKED), Style())
    assert "waits for “Its MAC address is right”" in text


def test_blocked_checks_name_the_root_of_it_once() -> None:
    later = Verdict("e", "It answers.", "boot", Outcome.BLOCKED, because=("c",))
    text = render(judgement(PASSED, FAILED, BLOCKED, later), Style())
    assert text.count("waits for “Its MAC address is right”") == 1
    assert "waits for “The node is up”" not in text
    assert text.index("○ It answers.") < text.index("waits for")
    assert "1 to work on; 2 wait for that." in text


def test_blocked_checks_with_other_reasons_say_so_each() -> None:
    other = Verdict("f", "It has a name.", "boot", Outcome.FAILED, expected="a", actual="b")
    later = Verdict("e", "It answers.", "boot", Outcome.BLOCKED, because=("c", "f"))
    text = render(judgement(PASSED, FAILED, BLOCKED, later, other), Style())
    assert "waits for “Its MAC address is right”\n" in text
    assert "waits for “Its MAC address is right” and “It has a name”" in text
    assert "2 to work on; 2 wait for them." in text


@pytest.mark.parametrize("width", [40, 60, 80])
def test_lines_end_where_the_terminal_does(width: int) -> None:
    wordy = replace(
        FAILED, sentence="A sentence of many words, " * 6, hint="Think about `wwsh node help`. " * 5
    )
    lines = render(judgement(PASSED, wordy, BLOCKED), Style(width=width)).splitlines()
    assert max(map(len, lines)) <= width
    thought = next(i for i, line in enumerate(lines) if line.startswith("      think"))
    assert lines[thought + 1].startswith(" " * 16)
    assert max(map(len, render(judgement(wordy), Style()).splitlines())) > width


def test_a_command_is_never_broken_inside_a_word() -> None:
    long = replace(FAILED, look="cat /srv/warewulf/ipxe/cfg/52:54:00:12:34:56-and-quite-some-more")
    assert f" {long.look.split()[1]}" in render(judgement(long), Style(width=40))


def test_credit_is_given_per_step_and_what_is_left_is_counted() -> None:
    text = render(judgement(PASSED, FAILED, BLOCKED), Style())
    assert "Introduce the node  [register]  1 of 2" in text
    assert "Watch it boot  [boot]  0 of 1" in text
    assert "1 of 3 checks hold (1.2 s); 1 to work on; 1 waits for that." in text
    assert text.endswith("hint: lab hint login_node register")


def test_a_node_without_power_is_no_matter_for_a_hint() -> None:
    off = replace(FAILED, actual="power is off", look="lab power on sms")
    assert render(judgement(PASSED, off), Style()).endswith("hint: lab power on sms")


def test_a_broken_check_is_never_shown_as_the_learners() -> None:
    text = render(judgement(PASSED, BROKEN), Style())
    assert "the lab's fault, not yours" in text
    assert "secret" not in text
    assert "lab hint" not in text


def test_solved_says_so() -> None:
    assert render(judgement(PASSED), Style()).endswith("Solved: the check holds. (1.2 s)")


def test_nothing_judged_says_so() -> None:
    assert "Nothing was checked" in render(judgement(), Style())


def test_plain_terminals_get_plain_signs() -> None:
    text = render(judgement(PASSED, FAILED), Style(unicode=False))
    assert "ok The node is known." in text
    assert "no Its MAC address is right." in text


def shown(report: Text, *, terminal: bool, **environ: str) -> str:
    """What a screen gets of a report."""
    screen = Console(
        file=io.StringIO(), force_terminal=terminal, width=50, _environ=environ, color_system="auto"
    )
    screen.print(report, soft_wrap=True)
    return str(cast("io.StringIO", screen.file).getvalue())


def test_colour_only_on_a_terminal_that_shows_it() -> None:
    report = report_of(judgement(PASSED, FAILED, BLOCKED, BROKEN), Style())
    assert "\x1b[31m" in shown(report, terminal=True, TERM="xterm")
    assert "\x1b[31m" not in shown(report, terminal=True, TERM="xterm", NO_COLOR="1")
    assert "\x1b" not in shown(report, terminal=True, TERM="dumb")
    assert "\x1b" not in shown(report, terminal=False, TERM="xterm")


def test_a_pipe_gets_whole_lines() -> None:
    wordy = replace(FAILED, actual="word " * 100)
    assert "word " * 99 in shown(report_of(judgement(wordy), Style()), terminal=False)


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        ((PASSED,), Exit.OK),
        ((PASSED, FAILED), Exit.NOT_SOLVED),
        ((PASSED, BLOCKED), Exit.NOT_SOLVED),
        ((FAILED, BROKEN), Exit.BROKEN),
        ((), Exit.UNKNOWN),
    ],
)
def test_exit_codes(verdicts: tuple[Verdict, ...], code: Exit) -> None:
    assert judgement(*verdicts).code is code


def test_nothing_judged_is_not_solved() -> None:
    assert not judgement().solved


def test_data_has_a_schema_and_every_outcome() -> None:
    data = as_data(judgement(PASSED, FAILED, BLOCKED, BROKEN))
    again = json.loads(json.dumps(data))
    assert again["schema"] == 1
    assert again["counts"] == {"passed": 1, "failed": 1, "blocked": 1, "broken": 1}
    assert [step["passed"] for step in again["steps"]] == [1, 0]
    assert again["steps"][0]["checks"][1]["look"] == "wwsh node print login"
    assert "secret" not in json.dumps(data)


def test_solved_steps_are_those_all_of_whose_checks_hold() -> None:
    up = Verdict("c", "The node is up.", "boot", Outcome.PASSED)
    assert judgement(PASSED, FAILED, up).solved_steps == ("boot",)
    assert judgement(PASSED).solved_steps == ("register",)


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("bell\x07", "bell\\x07"),
        ("c1 \x9b2J", "c1 \\x9b2J"),
        ("left\u202eright", "left\\u202eright"),
        ("über – ✓", "über – ✓"),
    ],
)
def test_a_node_cannot_drive_the_terminal(raw: str, shown: str) -> None:
    assert escaped(raw) == shown
    hostile = Verdict("b", "S.", "register", Outcome.FAILED, expected=raw, actual=raw)
    assert shown in render(judgement(hostile), Style())


@given(st.text())
def test_no_text_brings_a_control_character_to_the_terminal(raw: str) -> None:
    line = one_line(raw)
    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in line)


def test_very_long_output_is_cut() -> None:
    assert len(one_line("x" * 100_000)) < 1000
