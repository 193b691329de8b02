"""The Markdown of exercises as blocks; no text of any exercise is lost or left as a sign."""

from __future__ import annotations

import re

import pytest

from lab.course.catalog import load
from lab.paths import PACKAGE
from lab.web.markdown import blocks, parts

TEXTS = [
    (exercise.name, text)
    for exercise in load(PACKAGE.parent / "exercises").exercises
    for text in (exercise.readme(), *(hint for hints in exercise.hints().values() for hint in hints))
]


def words(found: object) -> str:
    """All text of blocks."""
    if isinstance(found, str):
        return f"{found} "
    if isinstance(found, dict):
        return "".join(words(value) for key, value in found.items() if key not in ("kind", "where"))
    if isinstance(found, list):
        pair = len(found) == 2 and all(isinstance(one, str) for one in found)
        return words(found[1]) if pair else "".join(map(words, found))
    return ""


@pytest.mark.parametrize(("name", "text"), TEXTS, ids=[f"{n}-{i}" for i, (n, _) in enumerate(TEXTS)])
def test_every_text_of_the_course_is_read_whole(name: str, text: str) -> None:
    del name
    letters = re.compile(r"[^\W_]+")
    prose = re.sub(r"^```.*$|^\d+\. ", "", text, flags=re.MULTILINE)
    assert sorted(letters.findall(words(blocks(text)))) == sorted(letters.findall(prose))


def test_blocks() -> None:
    text = "# A\n\nOne\ntwo `x*y*` **b**\n\n- i\n  j\n- k\n\n1. z\n"
    text += "\n| a | b |\n|---|---|\n| 1 | `2` |\n\n    code\n"
    assert blocks(text) == [
        {"kind": "heading", "level": 1, "parts": [["text", "A"]]},
        {
            "kind": "paragraph",
            "parts": [["text", "One two "], ["code", "x*y*"], ["text", " "], ["strong", "b"]],
        },
        {"kind": "list", "ordered": False, "items": [[["text", "i j"]], [["text", "k"]]]},
        {"kind": "list", "ordered": True, "items": [[["text", "z"]]]},
        {
            "kind": "table",
            "head": [[["text", "a"]], [["text", "b"]]],
            "rows": [[[["text", "1"]], [["code", "2"]]]],
        },
        {"kind": "code", "where": "", "output": False, "text": "code"},
    ]


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", "[a](javascript:alert(1))", "![x](http://x)", "<b>"]
)
def test_what_exercises_do_not_use_stays_text(text: str) -> None:
    assert blocks(text) == [{"kind": "paragraph", "parts": [["text", text]]}]


@pytest.mark.parametrize("text", ["`", "**", "``a", "*a", "a * b * c", "5*3*2", "``"])
def test_a_lone_sign_is_text(text: str) -> None:
    assert parts(text) == [["text", text]]


def test_an_unended_fence_goes_to_the_end() -> None:
    assert blocks("```sh c1\nls") == [{"kind": "code", "where": "c1", "output": False, "text": "ls"}]
