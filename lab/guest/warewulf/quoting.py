"""Splits text at commas as Perl's Text::ParseWords does: quotes and backslashes protect commas."""

from __future__ import annotations

import re

_QUOTED = re.compile(r'"((?:[^\\"]|\\.)*)"|\'((?:[^\\\']|\\.)*)\'')
_PLAIN = re.compile(r"((?:\\.|[^\\\"'])*?)(\Z|\s*,\s*|(?=[\"']))")
_ESCAPED = re.compile(r"\\(.)")


def split(text: str) -> tuple[str, ...] | None:
    """The words between commas, without the blanks around commas; None if a quote is not closed."""
    words: list[str] = []
    word: str | None = None
    while text:
        quoted = _QUOTED.match(text)
        if quoted is not None:
            double, single = quoted.groups()
            # A backslash stands for itself between single quotes.
            piece = single if double is None else _ESCAPED.sub(r"\1", double)
            text, separator = text[quoted.end() :], ""
        else:
            plain = _PLAIN.match(text)
            if plain is None or not (plain.group(1) or plain.group(2)):
                return None
            piece, separator = _ESCAPED.sub(r"\1", plain.group(1)), plain.group(2)
            text = text[plain.end() :]
        word = (word or "") + piece
        if separator:
            words.append(word)
            word = None
    return tuple(words) if word is None else (*words, word)
