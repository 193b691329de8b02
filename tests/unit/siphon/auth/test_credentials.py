"""Credentials against those that real controllers accepted."""

from __future__ import annotations

import base64
import hmac
import json
import time
from pathlib import Path

import pytest

from lab.siphon import errors
from lab.siphon.auth import credentials, jwt
from lab.siphon.errors import SiphonError
from lab.siphon.fetch import client
from lab.siphon.protocol import messages, versions
from lab.siphon.protocol.kangarootwelve import kangaroo_twelve
from lab.siphon.protocol.messages import Secret
from tests.unit.siphon import controller
from tests.unit.siphon.controller import running
from tests.unit.siphon.recordings import BY_NAME as ALL
from tests.unit.siphon.recordings import KEYS, sent, unbase64
from tests.unit.siphon.tokens import made_token


@pytest.mark.parametrize("version", versions.VERSIONS, ids=lambda v: v.release)
@pytest.mark.parametrize("flags", [0, 1])
def test_the_four_hashes_are_those_of_the_four_bodies(version: versions.Version, flags: int) -> None:
    payload = credentials.hash_payload(version, flags)
    if version.number < versions.V22_05.number:
        assert payload == b"\x01\xdf\x07"
    else:
        assert payload == b"\x02" + kangaroo_twelve(messages.request_body(version, flags), b"\x07\xdf")


@pytest.mark.parametrize("release", ["24.11", "26.05"])
def test_a_slurm_token_is_signed_as_slurm_accepts_it(release: str) -> None:
    made = sent(ALL[f"{release}_slurm_slurmd-set"])
    head, body, signature = made.split(b".")
    key = (KEYS / "slurm.key").read_bytes()
    assert hmac.new(key, head + b"." + body, "sha256").digest() == unbase64(signature)
    accepted = json.loads(unbase64(body))
    version = versions.by_release(release)
    assert version is not None
    payload = credentials.hash_payload(version, messages.SLURMD_SET)
    assert base64.b64decode(accepted["payload"]) == payload
    section = credentials.SlurmKey(Secret(key)).section(version, messages.SLURMD_SET, 1.0)
    assert section.plugin == messages.AUTH_SLURM
    assert section.credential is not None
    ours = section.credential.reveal().split(b".")
    assert hmac.new(key, ours[0] + b"." + ours[1], "sha256").digest() == unbase64(ours[2])
    told = json.loads(unbase64(ours[1]))
    assert json.loads(unbase64(ours[0])) == {"alg": "HS256", "typ": "JWT"}
    assert told["payload"] == accepted["payload"]
    assert told["context"] == accepted["context"] == "auth"
    assert told["ruid"] == 0xFFFFFFFF
    assert told["iat"] <= time.time() + 1 < told["exp"]


BODIES = (b"[]", b"{", b"{} {}", b"\xff", b"[" * 100_000)

NO_TOKENS = (b"", b"a", b"a.b", b"a.b.c.d", b"..", b"a.!.c", *(made_token(body) for body in BODIES))


@pytest.mark.parametrize("token", NO_TOKENS, ids=range(len(NO_TOKENS)))
def test_what_is_no_token_is_said_so_without_quoting_it(token: bytes) -> None:
    with pytest.raises(jwt.TokenError):
        jwt.read_claims(token)
    with pytest.raises(SiphonError) as caught:
        credentials.Jwt(Secret(token))
    assert caught.value.kind is errors.AUTH
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_an_expired_token_is_not_sent() -> None:
    expired = credentials.Jwt(Secret(made_token(b'{"exp": 1000000, "sun": "alice"}')))
    with running(controller.released("26.05")) as one, pytest.raises(SiphonError) as caught:
        client.fetch((one.server,), expired, client.FetchOptions())
    assert caught.value.kind is errors.AUTH
    assert "expired" in caught.value.message
    assert "days ago" in caught.value.message
    assert "user alice" in caught.value.evidence
    assert one.asked == []


def test_a_token_comes_bare_or_as_scontrol_prints_it(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("SLURM_JWT=a.b.c\n")
    assert credentials.token(None, str(file)).reveal() == b"a.b.c"
    assert credentials.token(" a.b.c\n", None).reveal() == b"a.b.c"
    assert credentials.token("x.y.z", str(file)).reveal() == b"a.b.c"
    for environment, path in ((None, None), ("", None), ("a", str(tmp_path / "none"))):
        with pytest.raises(SiphonError) as caught:
            credentials.token(environment, path)
        assert caught.value.kind is errors.CREDENTIAL


def test_keys_come_from_files(tmp_path: Path) -> None:
    for load in (credentials.munge_key, credentials.slurm_key):
        with pytest.raises(SiphonError, match="cannot read") as caught:
            load(str(tmp_path / "none"))
        assert caught.value.kind is errors.CREDENTIAL
    short = tmp_path / "short"
    short.write_bytes(b"x")
    with pytest.raises(SiphonError, match="is not a munge key"):
        credentials.munge_key(str(short))
    section = credentials.munge_key(str(KEYS / "munge.key")).section(versions.V22_05, 0, 1.0)
    assert section.plugin == messages.AUTH_MUNGE
    jwks = tmp_path / "slurm.jwks"
    jwks.write_text(json.dumps({"keys": [{"kty": "RSA"}, {"kty": "oct", "k": "c2VjcmV0", "kid": "k1"}]}))
    made = credentials.slurm_key(str(jwks)).section(versions.V24_11, 0, 1.0).credential
    assert made is not None
    head, body, signature = made.reveal().split(b".")
    assert json.loads(unbase64(head))["kid"] == "k1"
    assert hmac.new(b"secret", head + b"." + body, "sha256").digest() == unbase64(signature)
    for text in ('{"keys": []}', '{"keys": [{"kty": "oct", "k": "a"}]}', '{"broken'):
        jwks.write_text(text)
        with pytest.raises(SiphonError, match="has no key that can sign"):
            credentials.slurm_key(str(jwks))


def test_secrets_are_in_no_text() -> None:
    key = b"0123456789abcdef0123456789abcdef"
    token = made_token(b'{"sun": "alice"}')
    for one in (
        credentials.Jwt(Secret(token)),
        credentials.MungeKey(Secret(key)),
        credentials.SlurmKey(Secret(key)),
    ):
        shown = f"{one!r}{one.describe()}{vars(one)}{one.section(versions.V24_11, 0, 1.0)!r}"
        assert "0123456789" not in shown
        assert token.decode() not in shown
        assert "MUNGE:" not in shown
