"""A page whose generated part stands between two marks."""

from __future__ import annotations

from collections.abc import Sequence

BEGIN, END = "<!-- reference: begin -->", "<!-- reference: end -->"


def with_reference(text: str, reference: str) -> str:
    """The page with a new generated part; ValueError without the marks."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"no {BEGIN} … {END} in this page")
    return f"{before}{BEGIN}\n\n{reference.strip()}\n\n{END}{after}"


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table; cells keep no line break and no bare bar."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(
        f"| {' | '.join(' '.join(cell.replace('|', chr(92) + '|').split()) for cell in line)} |"
        for line in lines
    )
