"""What a node writes to its console harms nobody who reads along; there are no other places to look at."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from lab.backends.fake import FakeBackend
from lab.web.server import Page
from tests.hostile_text import STRINGS, as_bytes, assert_harmless
from tests.unit.checks_world import small_spec
from tests.unit.web.conftest import Browser, bring_up, parts_in, serving, until


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> FakeBackend:
    return bring_up(FakeBackend(tmp_path_factory.mktemp("consoles")), small_spec())


@pytest.fixture(scope="module")
def page(running: FakeBackend) -> Iterator[Page]:
    """One page for all these tests."""
    with serving(running.root, running, running.root / "work", parts_in(running.root)) as found:
        yield found


@pytest.mark.parametrize("text", STRINGS.values(), ids=STRINGS.keys())
def test_a_console_steers_no_terminal(browser: Browser, running: FakeBackend, text: str) -> None:
    running.found["lab"].console["c1"] = as_bytes(text[:5000]) + b"\nthe end\n"
    name = browser.open_terminal("c1", "console", "root")
    with browser.socket(f"/terminals/{name}") as console:
        console.send(b"nothing is typed here\r")
        seen = until(console, b"the end")
    browser.ask("DELETE", f"/api/terminals/{name}")
    assert_harmless(re.sub("\x1b\\[[0-9;]*m", "", seen.decode()), of_node=True)


@pytest.mark.parametrize(
    ("node", "kind", "user"),
    [("x", "shell", "root"), ("sms", "files", "root"), ("sms", "shell", "root; id"), ("sms", "shell", "-x"),
     ("sms", "shell", ""), ("../sms", "console", "root"), ("127.0.0.1", "shell", "root")],
)  # fmt: skip
def test_there_are_no_other_terminals(browser: Browser, node: str, kind: str, user: str) -> None:
    answer = browser.ask("POST", "/api/terminals", {"node": node, "kind": kind, "user": user})
    assert answer.status == 400
