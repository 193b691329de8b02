"""image.toml is a part of TOML: what its reader takes means the same to Python's own, which 3.9 has not."""

from __future__ import annotations

import tomllib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from lab.guest.nodeimage import toml

TOKENS = st.sampled_from(
    [
        *"ab=[]{},.1'\"\\é \n\t\r\x00",
        *'[a] [a.b] [b] -2 +1_0 true false "x" \'y\' "\\q" #c 1.5 "k.k" "\\u00e9"'.split(),
    ]
)
LINES = st.sampled_from(
    ["a = 1\n", "b = 'x'\n", "[a]\n", "[a.b]\n", "c = [1, 2,]\n", 'd = ["x",\n "y" # c\n]\n', "# c\n", "\n"]
)


def plain(text: str) -> dict[str, Any]:
    """What the reader found, as Python's own reader would give it."""
    found: dict[str, Any] = {}
    for name, keys in toml.parse(text).items():
        table = found
        for part in name.split(".") if name else []:
            table = table.setdefault(part, {})
        table.update({key: entry.value for key, entry in keys.items()})
    return found


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.lists(TOKENS, max_size=14), st.lists(LINES, max_size=8)).map("".join))
def test_what_is_accepted_means_the_same_in_toml(text: str) -> None:
    try:
        found = plain(text)
    except toml.TomlError:
        return
    assert found == tomllib.loads(text)
