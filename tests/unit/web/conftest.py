"""A learner's page on a lab whose nodes are shells of this machine, served as `lab web` serves it."""

from __future__ import annotations

import http.client
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from lab.backends.actions import Action, Verb
from lab.backends.fake import FakeBackend
from lab.course.catalog import load
from lab.model import ClusterSpec
from lab.polling import Limit, wait_for
from lab.web.browser_parts import Parts
from lab.web.seat import Lab
from lab.web.server import Page
from tests.unit.checks_world import small_spec
from tests.unit.cli.test_exercises import INDEX, write

SECONDS = 20.0


@dataclass
class Answer:
    """An answer of the server."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Browser:
    """A browser that sends what it is told to, and keeps its cookie."""

    page: Page
    cookie: str = ""
    csrf: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        given = {"Origin": self.page.origin, "X-Rackling-Csrf": self.csrf, **self.headers}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        if self.cookie:
            given["Cookie"] = self.cookie
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.page.port, timeout=SECONDS)
        try:
            connection.request(method, path, data, {k: v for k, v in given.items() if v})
            reply = connection.getresponse()
            return Answer(reply.status, {k.lower(): v for k, v in reply.getheaders()}, reply.read())
        finally:
            connection.close()

    def sign_in(self, address: str | None = None) -> Browser:
        answer = self.ask("GET", (address or self.page.address()).removeprefix(self.page.origin), Origin="")
        assert answer.status == 303, answer
        self.cookie = answer.headers["set-cookie"].split(";")[0]
        self.csrf = self.ask("GET", "/api/seat").json["csrf"]
        return self

    def socket(self, path: str, **headers: str) -> ClientConnection:
        given = {"Cookie": self.cookie} | headers
        return connect(
            f"ws://127.0.0.1:{self.page.port}{path}",
            origin=Origin(given.pop("Origin", self.page.origin)),
            additional_headers={k: v for k, v in given.items() if v},
            proxy=None,
            open_timeout=SECONDS,
            close_timeout=1,
            max_size=1 << 24,
        )

    def open_terminal(self, node: str = "sms", kind: str = "shell", user: str = "user1") -> str:
        answer = self.ask("POST", "/api/terminals", {"node": node, "kind": kind, "user": user})
        assert answer.status == 201, answer
        return str(answer.json["id"])

    def events(self, kind: str) -> Iterator[Any]:
        with self.socket("/events") as socket:
            while True:
                event = json.loads(socket.recv(timeout=SECONDS))
                if event["kind"] == kind:
                    yield event

    def do(self, action: str, name: str = "") -> Any:
        """Has something done, and returns how it ended."""
        body = {"action": action, "name": name}
        answer = wait_for(  # the same is taken again only after a moment
            lambda: self.ask("POST", "/api/do", body), Limit(SECONDS), done=lambda found: found.status != 409
        )
        assert answer.status == 202, answer
        return next(e for e in self.events("task") if e["name"] == action and e["state"] != "running")


def until(socket: ClientConnection, wanted: bytes) -> bytes:
    """Reads a terminal until something is shown."""
    seen = b""
    while wanted not in seen:
        piece = socket.recv(timeout=SECONDS)
        seen += piece if isinstance(piece, bytes) else b""
    return seen


def number_of(shell: ClientConnection) -> int:
    """The number of a shell's process, as it says itself."""
    shell.send(b"echo $$ is i''t\r")  # what is typed is shown, too, and must not look like the answer
    found = re.search(rb"(\d+) is it", until(shell, b" is it\r\n"))
    assert found
    return int(found[1])


def ends_with(socket: ClientConnection, code: int) -> None:
    """Reads a socket until the server closes it, for this reason."""
    with suppress(ConnectionClosed):
        for _ in range(1000):
            socket.recv(timeout=SECONDS)
    assert socket.close_code == code


@pytest.fixture
def spec() -> ClusterSpec:
    return small_spec()


def bring_up(backend: FakeBackend, spec: ClusterSpec) -> FakeBackend:
    """A lab with all nodes up."""
    backend.apply(spec, [Action(Verb.CREATE, tuple(node.name for node in spec.nodes))], lambda _: None)
    return backend


@pytest.fixture
def running(backend: FakeBackend, spec: ClusterSpec) -> FakeBackend:
    """The lab of the page."""
    return bring_up(backend, spec)


@pytest.fixture
def nodes(tmp_path: Path) -> Path:
    """Where the files lie that exercises ask for."""
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def parts_in(folder: Path) -> Parts:
    """Something in place of xterm.js."""
    found = Parts(folder / "xterm.js", folder / "xterm.css")
    found.script.write_text("// a terminal")
    found.style.write_text("/* a terminal */")
    return found


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    return parts_in(tmp_path)


@contextmanager
def serving(root: Path, backend: FakeBackend, nodes: Path, parts: Parts) -> Iterator[Page]:
    """A page that is served, with three exercises about files in `nodes`."""
    exercises = root / "exercises"
    write(exercises, "make_file", nodes / "one")
    write(exercises, "make_more", nodes / "two", start="after:make_file")
    write(exercises, "needs_kernel", nodes / "three", more='capabilities = ["kernel-version"]')
    (exercises / "index.toml").write_text(INDEX)
    found = Page(Lab("lab", backend, load(exercises), root / "data", "lab web"), parts)
    server = found.server()
    thread = threading.Thread(target=lambda: server.run(sockets=[found._socket]), daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.should_exit = True
        thread.join(SECONDS)
        with suppress(OSError):
            found.close()
        assert not thread.is_alive()


@pytest.fixture
def page(running: FakeBackend, nodes: Path, parts: Parts, tmp_path: Path) -> Iterator[Page]:
    with serving(tmp_path, running, nodes, parts) as found:
        yield found


@pytest.fixture
def browser(page: Page) -> Browser:
    """A browser that has signed in."""
    return Browser(page).sign_in()
