"""Whoever asks gets a token for its own account, and nobody one for another's."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from lab.slurm_token.audit import Audit
from lab.slurm_token.errors import TokenError
from lab.slurm_token.keys import KeyFolder
from lab.slurm_token.rate import Limit
from tests.unit.slurm_token.world import HUB_TOKENS, POD_TOKENS, Running, claims, running, verified


@pytest.mark.parametrize(
    ("kind", "token", "caller"),
    [
        ("unix", "", str(os.getuid())),
        ("hub", "hub-token-of-alice", "alice"),
        ("hub", "hub-token-of-alices-own", "alice"),
        ("kubernetes", "pod-token-of-alice", "notebooks:alice"),
    ],
)
def test_a_caller_gets_a_token_for_its_own_account(
    service: Running, kind: str, token: str, caller: str
) -> None:
    reply = service.ask(kind, token)
    assert (reply.status, reply.content["user"]) == (200, "alice")
    header, body = claims(reply.content["token"])
    assert header == {"alg": "RS256", "typ": "JWT", "kid": service.keys.read().signing}
    assert (body["sun"], body["exp"] - body["iat"]) == ("alice", 600)
    assert body["exp"] == reply.content["expires"]
    assert abs(body["iat"] - time.time()) < 60
    assert verified(reply.content["token"], service.keys.path / "jwks.json")
    (line,) = service.audit()
    assert (line["event"], line["how"], line["caller"], line["account"]) == ("issued", kind, caller, "alice")
    assert line["id"] == body["jti"]


REFUSED_BY_HUB = {
    "hub-token-of-root": 403, "hub-token-of-toor": 403, "hub-token-of-slurm": 403, "hub-token-of-nobody": 403,
    "hub-token-of-daemon2": 403, "hub-token-of-a-stranger": 403, "hub-token-of-a-path": 403,
    "hub-token-of-a-line": 403, "hub-token-of-a-service": 503, "hub-token-of-an-app": 403,
    "hub-token-without-scopes": 403, "hub-token-of-a-number": 503, "hub-token-of-a-list": 503,
    "hub-token-of-a-visited-server": 403,
    "hub-token-that-expired": 401, "hub-token-of-alicE": 401, "hub-token-of-a-flood": 503,
}  # fmt: skip
REFUSED_BY_KUBERNETES = {
    "pod-token-of-root": 403, "pod-token-of-nobody-known": 403, "pod-token-for-another": 401,
    "pod-token-without-audience": 401, "pod-token-refused-twice": 401, "pod-token-of-a-person": 403,
    "pod-token-of-two": 403, "pod-token-without-user": 403, "pod-token-that-expired": 401,
}  # fmt: skip


def test_every_made_up_token_is_tried() -> None:
    good = {"hub-token-of-alice", "hub-token-of-alices-own", "hub-token-of-bob"}
    assert {*HUB_TOKENS} - {*REFUSED_BY_HUB} == good
    assert {*POD_TOKENS} - {*REFUSED_BY_KUBERNETES} == {"pod-token-of-alice"}


@pytest.mark.parametrize(
    ("kind", "token", "status"),
    [
        *(("hub", token, status) for token, status in REFUSED_BY_HUB.items()),
        *(("kubernetes", token, status) for token, status in REFUSED_BY_KUBERNETES.items()),
    ],
)
def test_who_is_not_an_ordinary_account_gets_none(
    service: Running, kind: str, token: str, status: int
) -> None:
    reply = service.ask(kind, token)
    assert (reply.status, set(reply.content)) == (status, {"error", "reason"})
    (line,) = service.audit()
    assert (line["event"], line["reason"]) == ("refused", reply.content["reason"])
    assert token not in service.log.read_text() + str(reply)


@pytest.mark.parametrize(
    "extra",
    [
        "X-SLURM-USER-NAME: bob\r\n",
        "X-Forwarded-User: root\r\nRemote-User: root\r\nX-Remote-User: bob\r\n",
        "X-Forwarded-For: 127.0.0.1\r\nForwarded: for=bob\r\n",
        "Cookie: user=bob\r\n",
    ],
)
def test_no_header_changes_whose_token_it_is(service: Running, extra: str) -> None:
    for kind, token in (("unix", ""), ("hub", "hub-token-of-alice"), ("kubernetes", "pod-token-of-alice")):
        assert service.ask(kind, token, extra=extra).content["user"] == "alice"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/token?user=bob",
        "/v1/token/bob",
        "/v1/token/hub?user=bob",
        "/v1/token/hub/",
        "/",
        "/v1/token/../hub",
    ],
)
def test_no_path_asks_for_anothers(service: Running, path: str) -> None:
    assert service.ask("unix", path=path).status == 404
    assert service.ask("hub", "hub-token-of-bob", path=path).status == 404


def test_a_token_on_the_socket_of_this_machine_counts_for_nothing(service: Running) -> None:
    """There the kernel says who asks."""
    assert service.ask("unix", "hub-token-of-root").content["user"] == "alice"
    assert service.ask("unix", path="/v1/token/hub", token="hub-token-of-alice").status == 404


def test_the_answer_has_the_accounts_numbers_for_whoever_starts_its_container(service: Running) -> None:
    content = service.ask("hub", "hub-token-of-alice").content
    assert {name: content[name] for name in content if name != "token"} == {
        "user": "alice", "uid": 2001, "gid": 2001, "expires": content["expires"],
    }  # fmt: skip


def test_the_network_does_not_reach_what_is_for_this_machine(service: Running) -> None:
    assert service.ask("hub", path="/v1/token").status == 404
    assert service.ask("hub", "").status == 401


def test_a_hubs_token_is_no_pods_and_the_other_way(service: Running) -> None:
    assert service.ask("kubernetes", "hub-token-of-alice").status == 401
    assert service.ask("hub", "pod-token-of-alice").status == 401


def test_who_asks_too_often_waits_and_others_do_not(tmp_path: Path, shared_keys: KeyFolder, api: int) -> None:
    tmp_path.chmod(0o755)
    with running(tmp_path, shared_keys, api, callers=Limit(3, 60.0)) as service:
        asked = [service.ask("hub", "hub-token-of-alice") for _ in range(5)]
        assert [reply.status for reply in asked] == [200, 200, 200, 429, 429]
        assert "Retry-After: 60" in asked[3].headers
        assert service.ask("kubernetes", "pod-token-of-alice").status == 200
        assert [line["event"] for line in service.audit()].count("issued") == 4


def test_a_hub_that_is_away_is_said(tmp_path: Path, shared_keys: KeyFolder) -> None:
    tmp_path.chmod(0o755)
    with running(tmp_path, shared_keys, 1) as service:
        reply = service.ask("hub", "hub-token-of-alice")
        assert (reply.status, reply.content["error"]) == (503, "the Hub does not answer; ask again later")
        assert service.ask("unix").status == 200


def test_without_its_own_token_nothing_is_issued(service: Running, tmp_path: Path) -> None:
    (tmp_path / "own-token").write_text("of-yesterday")
    assert service.ask("kubernetes", "pod-token-of-alice").status == 503
    (tmp_path / "own-token").unlink()
    assert service.ask("kubernetes", "pod-token-of-alice").status == 503
    assert "own-token cannot be read" in service.audit()[-1]["cause"]


def test_a_table_that_changed_counts_at_once(service: Running, tmp_path: Path) -> None:
    (tmp_path / "accounts.json").write_text('{"notebooks:alice": "bob"}')
    assert service.ask("kubernetes", "pod-token-of-alice").content["user"] == "bob"
    (tmp_path / "accounts.json").write_text('{"notebooks:alice": ["root"]}')
    assert service.ask("kubernetes", "pod-token-of-alice").status == 503


def test_what_the_log_cannot_tell_of_is_not_issued(service: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Audit, event: str, **told: object) -> None:
        raise TokenError("the audit log cannot be written: the disk is full")

    monkeypatch.setattr(Audit, "write", full)
    reply = service.ask("unix")
    assert (reply.status, "token" in reply.content) == (503, False)
