"""Who gets in: only a browser that has signed in, only from our own page, and only with what fits."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest
from websockets.exceptions import InvalidStatus

from lab.backends.fake import FakeBackend
from lab.web import learning
from lab.web.server import Page
from tests.unit.checks_world import small_spec
from tests.unit.web.conftest import Browser, bring_up, ends_with, parts_in, serving

PATHS = (
    ("GET", "/"),
    ("GET", "/app.js"),
    ("GET", "/xterm.js"),
    ("GET", "/api/seat"),
    ("GET", "/api/course"),
    ("POST", "/api/terminals"),
    ("DELETE", "/api/terminals/x"),
    ("POST", "/api/hint"),
    ("POST", "/api/question"),
    ("POST", "/api/do"),
    ("GET", "/nothing"),
)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """One page for all these tests: they change nothing."""
    root = tmp_path_factory.mktemp("gate")
    backend = bring_up(FakeBackend(root / "nodes"), small_spec())
    with serving(root, backend, root / "work", parts_in(root)) as found:
        yield found


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_a_stranger_gets_nothing(page: Page, method: str, path: str) -> None:
    answer = Browser(page).ask(method, path, {} if method == "POST" else None)
    assert answer.status == 401
    assert b"lab web" in answer.body
    assert b"csrf" not in answer.body


@pytest.mark.parametrize("path", ["/events", "/terminals/x"])
def test_a_stranger_gets_no_socket(page: Page, path: str) -> None:
    with pytest.raises(InvalidStatus, match="403"):
        Browser(page).socket(path)


def test_an_address_works_once(page: Page) -> None:
    address = page.address()
    first = Browser(page).sign_in(address)
    assert first.ask("GET", "/").status == 200
    again = Browser(page).ask("GET", address.removeprefix(page.origin))
    assert (again.status, "set-cookie" in again.headers) == (403, False)
    assert first.ask("GET", "/").status == 200, "the one who has signed in stays"


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(page: Page) -> None:
    answer = Browser(page).ask("GET", page.address().removeprefix(page.origin))
    told = answer.headers["set-cookie"].lower()
    assert "httponly" in told
    assert "samesite=strict" in told
    assert "domain" not in told


@pytest.mark.parametrize("code", ["", "x", "%00", "../in/x", "a" * 200])
def test_a_made_up_code_opens_nothing(page: Page, code: str) -> None:
    answer = Browser(page).ask("GET", f"/in/{code}")
    assert answer.status in (401, 403, 404)
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("host", ["evil.example", "localhost", "127.0.0.1", "127.0.0.1:1", "[::1]", ""])
def test_another_name_for_this_host_leads_nowhere(browser: Browser, host: str) -> None:
    """As when a name of somebody's is pointed to 127.0.0.1 (DNS rebinding)."""
    answer = browser.ask("GET", "/api/seat", Host=host or " ")
    assert answer.status in (400, 421)
    assert b"csrf" not in answer.body


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1", "https://127.0.0.1"])
def test_another_page_changes_nothing_and_opens_no_socket(browser: Browser, origin: str) -> None:
    body = {"node": "sms", "kind": "shell", "user": "root"}
    assert browser.ask("POST", "/api/terminals", body, Origin=origin).status == 403
    for path in ("/events", f"/terminals/{browser.open_terminal()}"):
        with pytest.raises(InvalidStatus, match="403"):
            browser.socket(path, Origin=origin)


def test_a_change_without_an_origin_is_refused(browser: Browser) -> None:
    assert browser.ask("POST", "/api/do", {"action": "check", "name": ""}, Origin="").status == 403


def test_a_page_of_another_port_of_this_host_reads_nothing(browser: Browser) -> None:
    """Browsers send cookies to it and from it; what they say of where a request comes from counts."""
    assert browser.ask("GET", "/api/seat", Origin="", Sec_Fetch_Site="same-site").status == 403
    assert browser.ask("GET", "/api/seat", Origin="", Sec_Fetch_Site="same-origin").status == 200


@pytest.mark.parametrize("word", ["", "x"])
def test_a_change_carries_the_word_that_only_the_page_knows(browser: Browser, word: str) -> None:
    assert browser.ask("POST", "/api/hint", {"step": "make"}, X_Rackling_Csrf=word).status == 403


def test_the_word_of_one_session_is_not_anothers(page: Page, browser: Browser) -> None:
    other = Browser(page).sign_in()
    assert other.csrf != browser.csrf
    assert browser.ask("POST", "/api/do", {}, X_Rackling_Csrf=other.csrf).status == 403


@pytest.mark.parametrize("path", ["/", "/app.js", "/api/seat", "/nothing"])
def test_every_answer_says_what_a_browser_may_do_with_it(browser: Browser, path: str) -> None:
    headers = browser.ask("GET", path).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert "server" not in headers


@pytest.mark.parametrize(
    "path",
    [
        "/../server.py",
        "/static/index.html",
        "/%2e%2e/server.py",
        "/..%2fserver.py",
        "//etc/passwd",
        "/etc/passwd",
        "/index.html%00.js",
        "/signed-out.html/..",
        "/api",
        "/api/",
        "/api/terminals/../seat",
    ],
)
def test_no_path_leads_to_another_file(browser: Browser, path: str) -> None:
    assert browser.ask("GET", path).status == 404


def test_long_addresses_and_large_requests_are_refused(browser: Browser) -> None:
    assert browser.ask("GET", f"/{'a' * 300}").status == 414
    assert browser.ask("GET", f"/?{'a' * 300}").status == 414
    assert browser.ask("POST", "/api/do", b"x" * 5000).status == 413
    assert browser.ask("POST", "/api/do", b"", Content_Length="99999999999").status in (400, 413)


def test_a_body_without_a_length_is_counted(page: Page, browser: Browser) -> None:
    head = (
        f"POST /api/do HTTP/1.1\r\nHost: 127.0.0.1:{page.port}\r\nOrigin: {page.origin}\r\n"
        f"Cookie: {browser.cookie}\r\nX-Rackling-Csrf: {browser.csrf}\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", page.port), timeout=20) as raw:
        raw.sendall(
            head.encode() + b"1000\r\n" + b"x" * 4096 + b"\r\n" + b"100\r\n" + b"x" * 256 + b"\r\n0\r\n\r\n"
        )
        assert raw.recv(200).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b"7", b"[" * 4000, b'{"action": 1, "name": ""}', b'{"action": "x"}',
     b"\xff\xfe", b'{"action": "check", "name": {"a": 1}}',
     json.dumps({"action": "x" * 100, "name": ""}).encode()],
)  # fmt: skip
def test_a_request_that_says_nothing_is_refused_in_one_sentence(browser: Browser, body: bytes) -> None:
    answer = browser.ask("POST", "/api/do", body)
    assert answer.status == 400
    assert answer.json["error"]["message"]


@pytest.mark.parametrize("action", ["", "x", "__class__", "CHECK"])
def test_an_unknown_action_is_none(browser: Browser, action: str) -> None:
    assert browser.ask("POST", "/api/do", {"action": action, "name": "sms"}).status == 400


@pytest.mark.parametrize("action", [name for name in learning.ACTIONS if "-" in name])
@pytest.mark.parametrize("node", ["", "x", "../sms", "sms;reboot", "127.0.0.1"])
def test_what_is_no_node_of_the_lab_is_not_touched(browser: Browser, action: str, node: str) -> None:
    assert browser.ask("POST", "/api/do", {"action": action, "name": node}).status == 400


def test_a_frame_that_is_too_large_ends_the_socket(browser: Browser) -> None:
    with browser.socket(f"/terminals/{browser.open_terminal()}") as opened:
        opened.send(b"x" * (65 << 10))
        ends_with(opened, 1009)


def test_events_hear_nothing_of_a_page(browser: Browser) -> None:
    with browser.socket("/events") as opened:
        opened.send("anything")
        ends_with(opened, 4400)
