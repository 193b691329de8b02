"""Tables: plain in a pipe, folded to the width of a terminal, and never cut."""

from __future__ import annotations

import io
import re

import pytest

from lab.cli.output import show_table

HEADINGS = ("NODE", "STATE", "DETAIL")
ROWS = (("c1", "ready", "idle"), ("login", "not yet", "booted: stage vnfs: [red]words[/red] and more words"))


class Terminal(io.StringIO):
    """A terminal that remembers what it shows."""

    def isatty(self) -> bool:
        return True


def on_terminal(monkeypatch: pytest.MonkeyPatch, **environ: str) -> list[str]:
    """Lines of the table as a terminal with these variables gets them, without blanks at their ends."""
    for name in ("NO_COLOR", "TERM", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    show_table(HEADINGS, ROWS)
    return [line.rstrip() for line in terminal.getvalue().splitlines()]


def test_a_pipe_gets_plain_whole_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    show_table(HEADINGS, ROWS)
    assert capsys.readouterr().out.splitlines() == [
        "NODE   STATE    DETAIL",
        "c1     ready    idle",
        f"login  not yet  {ROWS[1][2]}",
    ]


def test_a_terminal_folds_the_last_column(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = on_terminal(monkeypatch, COLUMNS="46", TERM="xterm", NO_COLOR="1")
    assert lines[2:] == [
        "login  not yet  booted: stage vnfs:",
        "                [red]words[/red] and more",
        "                words",
    ]


def test_a_narrow_terminal_cuts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = on_terminal(monkeypatch, COLUMNS="10", TERM="xterm")
    assert "…" not in "".join(lines)
    assert lines[1].startswith("c1     ready    idle")


@pytest.mark.parametrize(("environ", "styled"), [({"TERM": "xterm"}, True), ({"TERM": "dumb"}, False)])
def test_headings_are_bold_where_the_terminal_can(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], styled: bool
) -> None:
    lines = on_terminal(monkeypatch, COLUMNS="80", **environ)
    assert ("\x1b[1m" in lines[0]) is styled
    assert re.sub(r"\x1b\[[0-9;]*m", "", lines[0]).split() == list(HEADINGS)


def test_no_color_means_no_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = on_terminal(monkeypatch, COLUMNS="80", TERM="xterm", NO_COLOR="1")
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]", "".join(lines))
