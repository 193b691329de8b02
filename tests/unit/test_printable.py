"""What may be shown of a node's text."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.printable import ConsoleText, as_json, console_text, printable, printable_line, printable_lines
from tests.hostile_text import STRINGS, as_bytes, assert_harmless

HOSTILE = st.sampled_from([text[:2000] for text in STRINGS.values()])
OURS = ("Traceback", "error: unexpected")  # words of a crash of ours, which hypothesis finds in our source
ANY = st.text(st.characters()).filter(lambda text: not any(word in text for word in OURS)) | HOSTILE
"""Lone surrogates, too."""


@given(ANY)
def test_nothing_that_steers_is_left(text: str) -> None:
    assert_harmless(printable(text), of_node=True)
    assert_harmless(console_text(text.replace("m", "M")), of_node=True)  # no colour among it


@given(ANY, st.integers(10, 500))
def test_one_line_is_one_and_short(text: str, longest: int) -> None:
    line = printable_line(text, longest)
    assert_harmless(line, of_node=True)
    assert not set(line) & set("\n\t\r")
    assert len(line) <= longest


@given(st.lists(ANY, max_size=5).map("\n".join))
def test_lines_are_few_and_short(text: str) -> None:
    found = printable_lines(text)
    assert len(found) <= 200
    assert max(map(len, found)) <= 1600


def test_harmless_text_stays_as_it_is() -> None:
    text = "Grüße – ✓\t日本語\n  second  line"
    assert printable(text) == console_text(text) == text
    assert printable_line("two  blanks, [markup] and \\n") == "two  blanks, [markup] and \\n"
    assert printable_line(" a\n\tb\n") == "a  b"
    assert printable_lines("a\n\n  b") == ["a", "", "  b"]
    assert json.loads(as_json({"text": text})) == {"text": text}


def test_what_is_cut_is_told() -> None:
    assert printable_line("x" * 900, 10) == printable_line("x" * 11, 10) == "x" * 9 + "…"
    assert printable_line("x" * 10, 10) == "x" * 10
    assert printable_line("\x1b[31m" * 500 + "end", 10).endswith("…")
    assert printable_lines("x\n" * 500)[-1] == "…"


@given(st.lists(st.none() | st.integers() | ANY | st.dictionaries(ANY, ANY)))
def test_json_is_harmless_and_means_the_same(value: object) -> None:
    text = as_json(value, indent=1)
    assert_harmless(text, of_node=True)
    if not any(0xD800 <= ord(char) < 0xE000 for char in json.dumps(value, ensure_ascii=False)):
        assert json.loads(text) == value
    json.dumps(json.loads(text), ensure_ascii=False).encode()  # half a character is not kept


@pytest.mark.parametrize("text", ["\x1b]", "\x1b[", "\x1b[0", "\x1b]0;", "\x9b", "\x1bP\x1b", "\u202e"])
def test_a_megabyte_of_beginnings_is_read_in_a_moment(text: str) -> None:
    began = time.process_time()
    console_text(text * (1_000_000 // len(text)))
    assert time.process_time() - began < 5


@given(ANY, st.integers(1, 7))
def test_chunks_may_be_cut_anywhere(text: str, size: int) -> None:
    data = as_bytes(text.encode("utf-8", "replace").decode())[:400]
    whole, parts = ConsoleText(colours=False), ConsoleText(colours=False)
    shown = "".join(parts.feed(data[at : at + size]) for at in range(0, len(data), size))
    shown += parts.feed(b"", final=True)
    assert_harmless(shown, of_node=True)
    if len(data) <= 16:
        assert shown == whole.feed(data, final=True)


def test_colours_of_a_console_stay_and_end_with_it() -> None:
    console = ConsoleText()
    assert console.feed(b"\x1b[3") + console.feed(b"1mred\x1b[2J") == "\x1b[31mred"
    assert console.feed(b"", final=True) == "\x1b[0m"
    assert ConsoleText(colours=False).feed(b"\x1b[31mred", final=True) == "red"
