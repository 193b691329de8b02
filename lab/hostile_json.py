"""Reads JSON that a node wrote: bounded, and whatever is wrong with it is one kind of error."""

from __future__ import annotations

import json
from typing import Any, NoReturn

LONGEST = 1 << 20  # characters


def read_json(text: str, longest: int = LONGEST) -> Any:
    """What the text means; a ValueError for everything that is no JSON, too long, too deep, or holds no text.

    Lone surrogates are refused, since nothing could print them or send them on; so is what no float can hold.
    """
    if len(text) > longest:
        raise ValueError(f"it has more than {longest} characters")
    try:
        found = json.loads(text, parse_constant=_refuse)
        json.dumps(found, ensure_ascii=False, allow_nan=False).encode()
    except RecursionError:
        raise ValueError("its brackets are nested too deeply") from None
    except UnicodeEncodeError:
        raise ValueError("it holds half a character") from None  # without the text, which may be a secret
    return found


def text_of(value: object) -> str:
    """A value that must be text; a ValueError for any other."""
    if not isinstance(value, str):
        raise ValueError(f"{type(value).__name__} in the place of text")  # noqa: TRY004 - one error for all flaws
    return value


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number")
