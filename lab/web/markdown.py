"""Reads the Markdown that exercises use into blocks of plain data.

The page makes elements of them and sets their text; nowhere does text become markup. Blocks: heading,
paragraph, list, table and code; what else a text holds stays a paragraph.
"""

from __future__ import annotations

import re
from typing import Any

Block = dict[str, Any]
Parts = list[list[str]]  # pairs: "text", "code", "strong" or "em", and the words

_INLINE = re.compile(
    r"(`+)(?P<code>.+?)\1(?!`)|\*\*(?P<strong>.+?)\*\*|(?<!\w)\*(?P<em>[^*\s][^*]*?)\*(?!\w)"
)
_HEADING = re.compile(r"(#{1,4}) +(.+)")
_ITEM = re.compile(r"(?:[-*]|(\d+)\.) +(.*)")
_RULE = re.compile(r"\|[-:| ]+\|")


def blocks(text: str) -> list[Block]:
    """Returns the blocks of a text, in order."""
    lines, found, at = text.splitlines(), [], 0
    while at < len(lines):
        line = lines[at]
        if not line.strip():
            at += 1
        elif line.startswith("```"):
            block, at = _fence(lines, at)
            found.append(block)
        elif line.startswith("    "):
            block, at = _indented(lines, at)
            found.append(block)
        elif match := _HEADING.fullmatch(line.strip()):
            found.append({"kind": "heading", "level": len(match[1]), "parts": parts(match[2])})
            at += 1
        elif _ITEM.match(line):
            block, at = _list(lines, at)
            found.append(block)
        elif line.startswith("|") and at + 1 < len(lines) and _RULE.fullmatch(lines[at + 1].strip()):
            block, at = _table(lines, at)
            found.append(block)
        else:
            end = at + 1
            while end < len(lines) and _goes_on(lines[end]):
                end += 1
            found.append({"kind": "paragraph", "parts": parts(" ".join(map(str.strip, lines[at:end])))})
            at = end
    return found


def parts(text: str) -> Parts:
    """Splits a line into words, code and emphasis."""
    found: Parts = []
    at = 0
    for match in _INLINE.finditer(text):
        found += [["text", text[at : match.start()]]] if match.start() > at else []
        kind = match.lastgroup or "text"
        found.append([kind, match[kind].strip() if kind == "code" else match[kind].replace("`", "")])
        at = match.end()
    return [*found, ["text", text[at:]]] if at < len(text) or not found else found


def _goes_on(line: str) -> bool:
    return bool(line.strip()) and not line.startswith(("```", "#", "|")) and not _ITEM.match(line)


def _fence(lines: list[str], at: int) -> tuple[Block, int]:
    end = at + 1
    while end < len(lines) and not lines[end].startswith("```"):
        end += 1
    words = lines[at].removeprefix("```").split()
    where = words[-1] if words else ""
    output = where == "output"
    body = "\n".join(lines[at + 1 : end])
    return {"kind": "code", "where": "" if output else where, "output": output, "text": body}, end + 1


def _indented(lines: list[str], at: int) -> tuple[Block, int]:
    end = at
    while end < len(lines) and (lines[end].startswith("    ") or not lines[end].strip()):
        end += 1
    body = "\n".join(line[4:] for line in lines[at:end]).rstrip()
    return {"kind": "code", "where": "", "output": False, "text": body}, end


def _list(lines: list[str], at: int) -> tuple[Block, int]:
    items: list[str] = []
    ordered = lines[at][0].isdigit()
    while at < len(lines) and lines[at].strip():
        if match := _ITEM.match(lines[at]):
            items.append(match[2])
        else:
            items[-1] += f" {lines[at].strip()}"
        at += 1
    return {"kind": "list", "ordered": ordered, "items": [parts(item) for item in items]}, at


def _table(lines: list[str], at: int) -> tuple[Block, int]:
    rows: list[list[Parts]] = []
    while at < len(lines) and lines[at].startswith("|"):
        rows.append([parts(cell.strip()) for cell in lines[at].strip().strip("|").split("|")])
        at += 1
    return {"kind": "table", "head": rows[0], "rows": rows[2:]}, at
