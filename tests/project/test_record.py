"""The recording that heads README.md: what came is what is shown, in its order, with waits shortened."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

from tests.record.film import COLUMNS, HOLD, LONGEST, ROWS, Line, cast, lines, marked, svg

ROOT = Path(__file__).resolve().parents[2]
EVENTS = [(0.0, "$ l"), (0.1, "s\n"), (60.0, "one\ntw"), (60.2, "o\n\nthree")]


def test_lines_are_put_together_and_waits_shortened() -> None:
    found = lines(EVENTS)
    assert [line.text for line in found] == ["$ ls", "one", "two", "", "three"]
    assert [round(line.at, 2) for line in found] == [
        0,
        0.1 + LONGEST,
        0.1 + LONGEST,
        0.3 + LONGEST,
        0.3 + LONGEST,
    ]


def test_a_line_wider_than_the_terminal_takes_several() -> None:
    assert [line.text for line in lines([(0, "x" * COLUMNS + "yz\n")])] == ["x" * COLUMNS, "yz"]


def test_the_cast_keeps_real_time() -> None:
    header, *rows = [json.loads(line) for line in cast(EVENTS).splitlines()]
    assert header["version"] == 2
    assert [row[0] for row in rows] == [0.0, 0.1, 60.0, 60.2]
    assert "".join(row[2] for row in rows) == "$ ls\r\none\r\ntwo\r\n\r\nthree"


def test_colours_become_classes_and_marks_stay_text() -> None:
    assert marked("\x1b[1;32mok\x1b[0m <&>") == '<tspan class="b green">ok</tspan> &lt;&amp;&gt;'


def test_the_picture_shows_every_line_and_scrolls() -> None:
    picture = ET.fromstring(svg([(n * 0.5, f"line {n}\n") for n in range(ROWS + 5)], "a <title>"))  # noqa: S314
    texts = [text.text for text in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == ["a <title>", *(f"line {n}" for n in range(ROWS + 5))]
    style = next(picture.iter("{http://www.w3.org/2000/svg}style")).text or ""
    assert f"#l{ROWS + 4} {{ animation: k{ROWS + 4} {(ROWS + 4) * 0.5 + HOLD:.2f}s" in style
    assert "translateY(-90px)" in style


def test_nothing_comes_of_nothing() -> None:
    assert lines([]) == []
    assert lines([(0, "\n")]) == [Line(0, "")]
    assert lines([(0, "x\n")]) == [Line(0, "x")]
