"""A recording of a terminal as data: an asciinema cast, and an SVG that plays by itself."""

from __future__ import annotations

import html
import json
from dataclasses import dataclass

from rich.text import Text

COLUMNS, ROWS = 96, 26
LONGEST = 1.2  # seconds that any wait is shown; how long it all took is told in the title
HOLD = 6.0  # seconds the end is left standing
LINE, LETTER, EDGE = 18, 8.4, 14  # pixels
COLOURS = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
STYLE = """text { font: 14px ui-monospace, Menlo, Consolas, monospace; fill: #d5d9e0; white-space: pre }
.b { font-weight: bold } .red { fill: #f07178 } .green { fill: #9ccc65 } .yellow { fill: #ffcb6b }
.blue { fill: #82aaff } .cyan { fill: #89ddff } .magenta { fill: #c792ea } .title { fill: #8b93a5 }"""


@dataclass(frozen=True)
class Line:
    """One line of the terminal, and when it was first to be seen."""

    at: float
    text: str


def cast(events: list[tuple[float, str]]) -> str:
    """The recording for asciinema's player, in real time; the player shortens waits."""
    header = {"version": 2, "width": COLUMNS, "height": ROWS, "idle_time_limit": LONGEST}
    rows = [[round(at, 3), "o", text.replace("\n", "\r\n")] for at, text in events]
    return "\n".join(json.dumps(row, ensure_ascii=False) for row in (header, *rows)) + "\n"


def lines(events: list[tuple[float, str]]) -> list[Line]:
    """The lines as they came, with waits shortened; long ones broken where the terminal breaks them."""
    found: list[Line] = []
    shown = before = began = 0.0
    text = ""
    for at, piece in [*events, (events[-1][0] if events else 0.0, "\n")]:
        shown += min(at - before, LONGEST)
        before = at
        for part in piece.splitlines(keepends=True):
            began = began if text else shown
            text += part
            if text.endswith("\n"):
                found += folded(Line(began, text.removesuffix("\n")))
                text = ""
    return found if found[-1].text else found[:-1]


def folded(line: Line) -> list[Line]:
    """A line as the rows it takes; colours are kept only where it takes one."""
    plain = Text.from_ansi(line.text).plain
    if len(plain) <= COLUMNS:
        return [line]
    return [Line(line.at, plain[i : i + COLUMNS]) for i in range(0, len(plain), COLUMNS)]


def svg(events: list[tuple[float, str]], title: str) -> str:
    """A picture in which the lines appear one after the other, scroll as a terminal does, and begin anew."""
    rows = lines(events)
    total = rows[-1].at + HOLD
    width, height = COLUMNS * LETTER + 2 * EDGE, (ROWS + 2) * LINE + 2 * EDGE
    rules, body = [STYLE], []
    for number, row in enumerate(rows):
        share = f"{100 * row.at / total:.3f}%"
        rules.append(f"@keyframes k{number} {{ 0%, {share} {{ opacity: 0 }} {share}, to {{ opacity: 1 }} }}")
        rules.append(f"#l{number} {{ animation: k{number} {total:.2f}s step-end infinite }}")
        body.append(f'<text id="l{number}" y="{(number + 1) * LINE}">{marked(row.text)}</text>')
    stops = [(100 * row.at / total, n + 1 - ROWS) for n, row in enumerate(rows) if n >= ROWS]
    scroll = "".join(f"{at:.3f}% {{ transform: translateY({-by * LINE}px) }} " for at, by in stops)
    rules.append(f"@keyframes scroll {{ 0% {{ transform: none }} {scroll}}}")
    rules.append(f".all {{ animation: scroll {total:.2f}s step-end infinite }}")
    size = f'viewBox="0 0 {width:.0f} {height}" width="{width:.0f}" height="{height}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">\n<title>{html.escape(title)}</title>\n'
        f"<style>\n{chr(10).join(rules)}\n</style>\n"
        f'<rect width="100%" height="100%" rx="8" fill="#1c2028"/>\n'
        f'<text class="title" x="{EDGE}" y="{EDGE + 10}">{html.escape(title)}</text>\n'
        f'<svg x="{EDGE}" y="{EDGE + LINE}" width="{width - 2 * EDGE:.0f}" height="{ROWS * LINE + 6}">\n'
        f'<g class="all">\n{chr(10).join(body)}\n</g>\n</svg>\n</svg>\n'
    )


def marked(text: str) -> str:
    """A line with its colours as spans of the picture."""
    parsed = Text.from_ansi(text)
    parts = []
    for segment in parsed.divide(sorted({edge for span in parsed.spans for edge in (span.start, span.end)})):
        styles = [span.style for span in segment.spans if not isinstance(span.style, str)]
        names = ["b" for style in styles if style.bold]
        numbers = [style.color.number for style in styles if style.color]
        names += [COLOURS[number % 8] for number in numbers if number is not None and number < 16]
        words = html.escape(segment.plain)
        parts.append(f'<tspan class="{" ".join(names)}">{words}</tspan>' if names else words)
    return "".join(parts)
