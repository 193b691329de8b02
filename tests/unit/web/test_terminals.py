"""Terminals of a page: they type and show, outlive their connections, and are bounded."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from lab.backends.fake import FakeBackend
from lab.polling import Limit, wait_for
from lab.web.browser_parts import Parts
from lab.web.replay import Replay
from lab.web.terminals import MOST
from tests.unit.web.conftest import SECONDS, Browser, ends_with, number_of, serving, until


def test_a_shell_types_and_shows(browser: Browser) -> None:
    with browser.socket(f"/terminals/{browser.open_terminal('c1', user='root')}") as shell:
        shell.send(b"echo $((6*7)) as $WHO on ${NODE##*/}\r")
        assert b"42 as root on c1" in until(shell, b"on c1")


def test_a_shell_outlives_its_connection_and_is_shown_again(browser: Browser) -> None:
    name = browser.open_terminal()
    with browser.socket(f"/terminals/{name}") as shell:
        shell.send(b"KEPT=still; echo be''fore\r")
        number = number_of(shell)
    listed = browser.ask("GET", "/api/seat").json["terminals"]
    assert [(one["id"], one["title"]) for one in listed] == [(name, "user1@sms")]
    with browser.socket(f"/terminals/{name}") as shell:
        head = json.loads(shell.recv(timeout=SECONDS))
        seen = shell.recv(timeout=SECONDS)
        assert head == {"replay": len(seen)}
        assert b"before" in as_bytes_of(seen)
        shell.send(b"echo $KEPT $$\r")
        assert f"still {number}".encode() in until(shell, b"still ")


def as_bytes_of(piece: str | bytes) -> bytes:
    return piece if isinstance(piece, bytes) else piece.encode()


def test_two_windows_see_the_same(browser: Browser) -> None:
    name = browser.open_terminal()
    with browser.socket(f"/terminals/{name}") as one, browser.socket(f"/terminals/{name}") as other:
        one.send(b"echo se''en\r")
        assert b"seen" in until(one, b"seen")
        assert b"seen" in until(other, b"seen")


def test_the_program_hears_of_the_windows_size(browser: Browser) -> None:
    with browser.socket(f"/terminals/{browser.open_terminal()}") as shell:
        shell.send('{"size": [33, 77]}')
        shell.send(b"until [ \"$(stty size)\" = '33 77' ]; do sleep 0.05; done; echo fi''ts\r")
        until(shell, b"fits")


def test_what_cannot_be_read_ends_the_socket_and_not_the_shell(browser: Browser) -> None:
    name = browser.open_terminal()
    for said in ("", "{", "[]", '{"size": [0]}', '{"size": [-1, 5]}', '{"seen": "x"}', '{"seen": true}', "7"):
        with browser.socket(f"/terminals/{name}") as shell:
            shell.send(said)
            ends_with(shell, 4400)
    assert browser.ask("GET", "/api/seat").json["terminals"][0]["ended"] == ""


def test_an_absurd_size_is_not_passed_on(browser: Browser) -> None:
    with browser.socket(f"/terminals/{browser.open_terminal()}") as shell:
        shell.send('{"size": [2000000000, 2000000000]}')
        shell.send(b"stty size; echo do''ne\r")
        assert b"2000" not in until(shell, b"done")


def test_a_window_that_shows_nothing_makes_the_program_wait(browser: Browser, tmp_path: Path) -> None:
    """So a program that prints without end fills no memory of ours."""
    count = tmp_path / "count"

    def printed() -> int:
        return int(count.read_text() or 0) if count.exists() else 0

    with browser.socket(f"/terminals/{browser.open_terminal()}") as shell:
        piece = "head -c 100000 /dev/zero | tr '\\0' x"
        shell.send(f"for i in $(seq 30); do {piece}; echo $i >{count}; done\r".encode())
        assert wait_for(lambda: printed() >= 4, Limit(SECONDS))
        assert not wait_for(lambda: printed() > 7, Limit(0.7)), "it goes on"
        shell.send('{"seen": 2000000}')
        assert wait_for(lambda: printed() > 7, Limit(SECONDS)), "it stands still"


def test_a_program_that_ends_is_told(browser: Browser) -> None:
    with browser.socket(f"/terminals/{browser.open_terminal()}") as shell:
        shell.send(b"exit\r")
        told = ""
        while "ended" not in told:
            piece = shell.recv(timeout=SECONDS)
            told = piece if isinstance(piece, str) else ""
    assert browser.ask("GET", "/api/seat").json["terminals"][0]["ended"] == "it has ended"


def test_a_terminal_that_is_closed_ends_its_program(browser: Browser) -> None:
    name = browser.open_terminal()
    with browser.socket(f"/terminals/{name}") as shell:
        number = number_of(shell)
    assert browser.ask("DELETE", f"/api/terminals/{name}").status == 204
    assert browser.ask("DELETE", f"/api/terminals/{name}").status == 204
    assert wait_for(lambda: not Path(f"/proc/{number}").exists(), Limit(SECONDS))
    with browser.socket(f"/terminals/{name}") as shell:
        ends_with(shell, 4404)


def test_terminals_are_counted(browser: Browser) -> None:
    for _ in range(MOST):
        browser.open_terminal(kind="console")
    answer = browser.ask("POST", "/api/terminals", {"node": "sms", "kind": "console", "user": "root"})
    assert answer.status == 503
    assert "close one" in answer.json["error"]["hint"]


def test_a_journal_is_read_along(browser: Browser) -> None:
    with browser.socket(f"/terminals/{browser.open_terminal('c1', 'journal', 'root')}") as journal:
        assert b"--no-pager -n 200 -f" in until(journal, b"-f")


def test_a_replay_begins_at_a_line_with_the_modes_and_the_look_of_before() -> None:
    replay = Replay(kept=1000, slack=100)
    replay.add(b"\x1b[?1049h\x1b[?25l\x1b[1;31m" + b"first\n" * 100)
    replay.add(b"\x1b[?25h" + "zeile äöü\n".encode() * 100)
    kept = replay.content()
    assert kept.startswith(b"\x1b[?1049h\x1b[?25h\x1b[1;31mzeile ")
    assert len(kept) < 1200


@pytest.mark.parametrize("piece", ["ä", "€", "😀"])
def test_a_replay_cuts_no_character(piece: str) -> None:
    replay = Replay(kept=1000, slack=100)
    for _ in range(900):
        replay.add(piece.encode())
    assert set(replay.content().decode()) == {piece}


def test_a_replay_cuts_no_sequence() -> None:
    replay = Replay(kept=1000, slack=100)
    for number in range(900):
        replay.add(f"\x1b[{number % 50};1Hx".encode())
    kept = replay.content().decode()
    assert re.fullmatch(r"(\x1b\[\d+;1Hx)+", kept)


def test_nothing_is_left_when_the_page_ends(running: FakeBackend, parts: Parts, tmp_path: Path) -> None:
    with serving(tmp_path, running, tmp_path / "work", parts) as page:
        browser = Browser(page).sign_in()
        with browser.socket(f"/terminals/{browser.open_terminal()}") as shell:
            number = number_of(shell)
        os.kill(number, 0)
    assert wait_for(lambda: not Path(f"/proc/{number}").exists(), Limit(SECONDS))
