"""Host lists."""

from __future__ import annotations

import pytest

from lab.siphon.fetch import hostlist


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("c1", ("c1",)),
        ("c[1-3]", ("c1", "c2", "c3")),
        ("c[08-11]", ("c08", "c09", "c10", "c11")),
        ("c[1,3-4]-ib,login", ("c1-ib", "c3-ib", "c4-ib", "login")),
        ("r[1-2]n[1-2]", ("r1n1", "r1n2", "r2n1", "r2n2")),
    ],
)
def test_host_lists_expand_in_order(text: str, names: tuple[str, ...]) -> None:
    assert hostlist.expand(text) == names


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a,,b",
        "c[1",
        "c]1",
        "c[[1]]",
        "c[]",
        "c[2-1]",
        "c[a-b]",
        "c[²]",
        "c[1-99999999]",
        "c[1-9999999999]",
    ],
)
def test_what_is_no_host_list_is_refused(text: str) -> None:
    with pytest.raises(hostlist.HostlistError):
        hostlist.expand(text)
