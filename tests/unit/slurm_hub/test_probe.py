"""`hub-server` asks over the proxy as users do; its token goes nowhere else, whatever an answer says."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from lab.slurm_hub import probe

SECRET = "ab" * 32


@dataclass
class Hub:
    """Answers as it was told, by method and path."""

    answers: dict[str, tuple[int, str, dict[str, str]]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    known = Hub()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            asked = f"{self.command} {self.path}"
            known.asked.append((asked, self.headers.get("Authorization", "")))
            status, text, headers = known.answers.get(asked, (404, "not JSON", {}))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_POST = do_DELETE = answer  # noqa: N815 (http.server's names)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    (tmp_path / "probe").write_text(SECRET)
    monkeypatch.setattr(probe, "TOKEN", str(tmp_path / "probe"))
    monkeypatch.setattr(probe, "PROXY", f"127.0.0.1:{server.server_port}")
    yield known
    server.shutdown()
    thread.join()
    server.server_close()


def test_servers_are_listed(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    users = [{"name": "user1", "servers": {"": {"ready": True, "url": "/user/user1/"}}}]
    hub.answers["GET /hub/api/users?state=active"] = 200, json.dumps(users), {}
    assert probe.main(["list"]) == 0
    assert capsys.readouterr().out == "user1 ready /user/user1/\n"
    assert hub.asked == [("GET /hub/api/users?state=active", f"token {SECRET}")]


def test_a_start_is_told_as_it_goes(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    events = [{"message": "Server requested"}, {"message": "Server ready", "ready": True}]
    hub.answers |= {
        "GET /hub/api/users": (200, "[]", {}),
        "POST /hub/api/users/user1": (201, "{}", {}),
        "POST /hub/api/users/user1/server": (202, "", {}),
        "GET /hub/api/users/user1/server/progress": (
            200,
            "".join(f"data: {json.dumps(one)}\n\n" for one in events),
            {},
        ),
    }
    assert probe.main(["start", "user1"]) == 0
    assert capsys.readouterr().out == "Server requested\nServer ready\n"


def test_what_the_hub_refuses_is_told_without_control_characters(
    hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.answers["GET /hub/api/users"] = 200, '[{"name": "user1"}]', {}
    told = json.dumps({"message": "no server: \x1b[2Jsbatch: error"})
    hub.answers["POST /hub/api/users/user1/server"] = 500, told, {}
    assert probe.main(["start", "user1"]) == 1
    assert capsys.readouterr().err == "error: no server: ?[2Jsbatch: error\n"


def test_no_redirect_takes_the_token_away(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    place = f"http://{probe.PROXY}/elsewhere"
    hub.answers["GET /hub/api/users?state=active"] = 302, "", {"Location": place}
    hub.answers["GET /elsewhere"] = 200, "[]", {}
    assert probe.main(["list"]) == 1
    assert len(hub.asked) == 1
    assert "the Hub answers 302" in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["start"], ["list", "user1"], ["run", "user1"], ["begin", "user1"]])
def test_other_words_are_answered_with_the_usage(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert probe.main(words) == 2
    assert probe.USAGE in capsys.readouterr().err


def test_a_name_is_no_path(hub: Hub) -> None:
    assert probe.main(["stop", "user1/../user2?x#y"]) == 1
    assert hub.asked[0][0] == "DELETE /hub/api/users/user1%2F..%2Fuser2%3Fx%23y/server"


def test_without_the_token_one_is_told_who_may(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(probe, "TOKEN", "/nonexistent/probe")
    assert probe.main(["list"]) == 1
    assert "only root may" in capsys.readouterr().err
    assert hub.asked == []
