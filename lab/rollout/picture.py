"""A picture of the waves over time, as SVG: one row a node, waiting for jobs, rebooting, and how it ended."""

from __future__ import annotations

import time
from collections.abc import Iterator
from xml.sax.saxutils import escape

from lab.rollout.planning.memory import FINAL, Memory, Phase, Record
from lab.rollout.planning.waves import by_name

WIDTH, LEFT, TOP = 900, 120, 56
COLOURS = {
    Phase.DONE: "#2a7f3f",
    Phase.CURRENT: "#8fbf9b",
    Phase.FAILED: "#b3261e",
    Phase.LEFT: "#8a8a8a",
}
WAITS, BOOTS = "#e0a93b", "#3b6fb6"
TICKS = 6


def draw(memory: Memory, now: float) -> str:
    """The picture; `now` is in seconds since the epoch. It is complete in itself and loads nothing."""
    names = sorted(memory.records, key=lambda name: (memory.records[name].wave, by_name(name)))
    height = 14 if len(names) <= 120 else 5
    end = max([memory.started_at + 1, *(record.ended_at for record in memory.records.values())])
    if memory.outcome is None:
        end = max(end, now)
    scale = (WIDTH - LEFT - 50) / (end - memory.started_at)
    bottom = TOP + height * len(names)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{bottom + 40}"',
        f'viewBox="0 0 {WIDTH} {bottom + 40}" font-family="sans-serif" font-size="11">',
        f"<title>{escape(memory.token)}</title>",
        f'<rect width="{WIDTH}" height="{bottom + 40}" fill="white"/>',
        *_legend(),
        *_axis(memory.started_at, end, scale, bottom),
    ]
    wave = None
    for row, name in enumerate(names):
        record = memory.records[name]
        top = TOP + row * height
        if record.wave != wave:
            wave = record.wave
            label = "canary" if wave == 0 else f"wave {wave}"
            parts.append(f'<line x1="4" y1="{top}" x2="{WIDTH - 10}" y2="{top}" stroke="#c8c8c8"/>')
            parts.append(f'<text x="4" y="{top + 11}" fill="#555">{label}</text>')
        if height > 10:
            parts.append(f'<text x="{LEFT - 6}" y="{top + 11}" text-anchor="end">{escape(name)}</text>')
        parts += _bars(record, top, height, memory.started_at, end, scale)
    return "\n".join([*parts, "</svg>", ""])


def _bars(record: Record, top: int, height: int, start: float, end: float, scale: float) -> Iterator[str]:
    until = record.ended_at or end
    away = record.away_at or until
    if record.asked_at:
        yield _bar(record.asked_at, away, top, height, start, scale, WAITS)
    if record.away_at:
        yield _bar(record.away_at, until, top, height, start, scale, BOOTS)
    if record.phase in FINAL:
        x, colour = LEFT + (until - start) * scale, COLOURS[record.phase]
        yield f'<rect x="{x:.1f}" y="{top + 1}" width="6" height="{height - 2}" fill="{colour}"/>'


def _bar(first: float, last: float, top: int, height: int, start: float, scale: float, colour: str) -> str:
    x, width = LEFT + (first - start) * scale, max(1.0, (last - first) * scale)
    return f'<rect x="{x:.1f}" y="{top + 2}" width="{width:.1f}" height="{height - 4}" fill="{colour}"/>'


def _legend() -> Iterator[str]:
    words = [("waits for jobs", WAITS), ("reboots", BOOTS)]
    words += [(phase.value, colour) for phase, colour in COLOURS.items()]
    for place, (word, colour) in enumerate(words):
        x = LEFT + place * 110
        yield f'<rect x="{x}" y="10" width="10" height="10" fill="{colour}"/>'
        yield f'<text x="{x + 14}" y="19">{word}</text>'


def _axis(start: float, end: float, scale: float, bottom: int) -> Iterator[str]:
    for tick in range(TICKS + 1):
        moment = start + (end - start) * tick / TICKS
        x = LEFT + (moment - start) * scale
        words = time.strftime("%H:%M:%S", time.localtime(moment))
        yield f'<line x1="{x:.1f}" y1="{TOP - 6}" x2="{x:.1f}" y2="{bottom}" stroke="#ececec"/>'
        yield f'<text x="{x:.1f}" y="{TOP - 12}" text-anchor="middle" fill="#555">{words}</text>'
