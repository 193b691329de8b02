"""Credentials, against what real programs sent and real controllers accepted."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.slurm import auth, claims, client, failure, messages, munge, munged, versions, vouch, wire
from lab.slurm.failure import SiphonError
from lab.slurm.k12 import kangaroo_twelve
from lab.slurm.record import Secret
from tests.unit.slurm import controller, fakemunged, recordings
from tests.unit.slurm.controller import FILES, running
from tests.unit.slurm.recordings import Recording

ALL = {recording.name: recording for recording in recordings.load()}
KEYS = recordings.FOLDER / "keys"


def sent(recording: Recording) -> bytes:
    """The credential in a recorded request."""
    credential = messages.decode_request(recording.request[4:]).auth.credential
    assert credential is not None
    return credential.reveal()


def unbase64(text: bytes) -> bytes:
    return base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))


@pytest.mark.parametrize("version", versions.VERSIONS, ids=lambda v: v.release)
@pytest.mark.parametrize("flags", [0, 1])
def test_the_four_hashes_are_those_of_the_four_bodies(version: versions.Version, flags: int) -> None:
    payload = auth.hash_payload(version, flags)
    if version.number < versions.V22_05.number:
        assert payload == b"\x01\xdf\x07"
    else:
        assert payload == b"\x02" + kangaroo_twelve(messages.request_body(version, flags), b"\x07\xdf")


KEYED = [name for name in ALL if name.endswith("munge_err-expired")]


@pytest.mark.parametrize("name", KEYED)
def test_a_munge_credential_is_made_as_munge_makes_it(name: str) -> None:
    """Those recordings were made without encryption, so the key alone shows what is inside."""
    recording = ALL[name]
    made = sent(recording)
    raw = base64.b64decode(made[len("MUNGE:") : -1])
    mac_length = {3: 20, 5: 32, 6: 64}[raw[2]]
    inner = raw[5 + mac_length :]
    numbers = [int.from_bytes(inner[13 + 4 * i : 17 + 4 * i], "big") for i in range(7)]
    assert inner[8] == 4
    payload = inner[41:]
    assert len(payload) == numbers[6]
    version = versions.by_number(recording.client_protocol)
    assert version is not None
    flags = messages.decode_request(recording.request[4:]).flags
    assert payload == auth.hash_payload(version, flags)
    key = (KEYS / "munge.key").read_bytes()
    digest = {3: "sha1", 5: "sha256", 6: "sha512"}[raw[2]]
    mac = hmac.new(hashlib.sha1(key + b"2").digest(), raw[:5] + inner, digest).digest()  # noqa: S324
    assert mac == raw[5 : 5 + mac_length]
    # And ours, with the same identity, differs in nothing but the lifetime and the MAC over it.
    identity = munge.Identity(numbers[2], numbers[3], numbers[0], inner[:8], inner[9:13])
    ours = base64.b64decode(munge.forge(key, payload, identity)[len("MUNGE:") : -1])
    assert ours[:5] == bytes((3, 0, munge.MAC_SHA256, 0, 0))
    assert ours[37 : 37 + 17] == inner[:17]
    assert ours[37 + 21 :] == inner[21:]
    check = hmac.new(hashlib.sha1(key + b"2").digest(), ours[:5] + ours[37:], "sha256")  # noqa: S324
    assert ours[5:37] == check.digest()


def test_munge_keyed_recordings_are_there() -> None:
    assert len(KEYED) == 4


@pytest.mark.parametrize("release", ["24.11", "26.05"])
def test_a_slurm_token_is_signed_as_slurm_accepts_it(release: str) -> None:
    made = sent(ALL[f"{release}_slurm_slurmd-set"])
    head, body, signature = made.split(b".")
    key = (KEYS / "slurm.key").read_bytes()
    assert hmac.new(key, head + b"." + body, "sha256").digest() == unbase64(signature)
    accepted = json.loads(unbase64(body))
    version = versions.by_release(release)
    assert version is not None
    payload = auth.hash_payload(version, messages.SLURMD_SET)
    assert base64.b64decode(accepted["payload"]) == payload
    section = auth.SlurmKey(Secret(key)).section(version, messages.SLURMD_SET, 1.0)
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


@pytest.mark.parametrize("release", ["20.11", "22.05", "24.11", "26.05"])
def test_claims_are_read_without_the_key(release: str) -> None:
    for case, user in (("client-set", "alice"), ("slurmd-set", "slurm")):
        token = sent(ALL[f"{release}_jwt_{case}"])
        found = claims.read_claims(token)
        body = json.loads(unbase64(token.split(b".")[1]))
        assert found.user == body["sun"] == user
        assert found.expires == body["exp"]


def made_token(body: bytes) -> bytes:
    return b"aGVhZA." + base64.urlsafe_b64encode(body).rstrip(b"=") + b".c2lnbg"


@pytest.mark.parametrize(
    ("body", "user", "expires"),
    [
        (b'{"exp": 5, "sun": "a"}', "a", 5.0),
        (b'{"exp": 5.5, "username": "b"}', "b", 5.5),
        (b'{"exp": true, "sun": 3}', None, None),
        (b"{}", None, None),
        (b'  {"a": {"exp": 1}, "b": [1, "exp"]}  ', None, None),
    ],
)
def test_claims_may_be_few(body: bytes, user: str | None, expires: float | None) -> None:
    assert claims.read_claims(made_token(body)) == claims.Claims(user, expires)


BODIES = (b"[]", b"{", b"{} {}", b"\xff", b"[" * 100_000)
NO_TOKENS = (b"", b"a", b"a.b", b"a.b.c.d", b"..", b"a.!.c", *(made_token(body) for body in BODIES))


@pytest.mark.parametrize("token", NO_TOKENS, ids=range(len(NO_TOKENS)))
def test_what_is_no_token_is_said_so_without_quoting_it(token: bytes) -> None:
    with pytest.raises(claims.TokenError):
        claims.read_claims(token)
    with pytest.raises(SiphonError) as caught:
        auth.Jwt(Secret(token))
    assert caught.value.kind is failure.AUTH
    assert caught.value.__context__ is None or caught.value.__suppress_context__


@given(st.binary(max_size=60))
def test_only_token_errors_come_out_of_noise(data: bytes) -> None:
    for token in (data, made_token(data)):
        try:
            claims.read_claims(token)
        except claims.TokenError:
            continue


def test_an_expired_token_is_not_sent() -> None:
    expired = auth.Jwt(Secret(made_token(b'{"exp": 1000000, "sun": "alice"}')))
    with running(controller.released("26.05")) as one, pytest.raises(SiphonError) as caught:
        client.fetch((one.server,), expired, client.Wish())
    assert caught.value.kind is failure.AUTH
    assert "expired" in caught.value.message
    assert "days ago" in caught.value.message
    assert "user alice" in caught.value.evidence
    assert one.asked == []


def test_a_token_comes_bare_or_as_scontrol_prints_it(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("SLURM_JWT=a.b.c\n")
    assert auth.token(None, str(file)).reveal() == b"a.b.c"
    assert auth.token(" a.b.c\n", None).reveal() == b"a.b.c"
    assert auth.token("x.y.z", str(file)).reveal() == b"a.b.c"
    for environment, path in ((None, None), ("", None), ("a", str(tmp_path / "none"))):
        with pytest.raises(SiphonError) as caught:
            auth.token(environment, path)
        assert caught.value.kind is failure.CREDENTIAL


def test_keys_come_from_files(tmp_path: Path) -> None:
    for load in (auth.munge_key, auth.slurm_key):
        with pytest.raises(SiphonError, match="cannot read") as caught:
            load(str(tmp_path / "none"))
        assert caught.value.kind is failure.CREDENTIAL
    short = tmp_path / "short"
    short.write_bytes(b"x")
    with pytest.raises(SiphonError, match="no munge key"):
        auth.munge_key(str(short))
    section = auth.munge_key(str(KEYS / "munge.key")).section(versions.V22_05, 0, 1.0)
    assert section.plugin == messages.AUTH_MUNGE
    jwks = tmp_path / "slurm.jwks"
    jwks.write_text(json.dumps({"keys": [{"kty": "RSA"}, {"kty": "oct", "k": "c2VjcmV0", "kid": "k1"}]}))
    made = auth.slurm_key(str(jwks)).section(versions.V24_11, 0, 1.0).credential
    assert made is not None
    head, body, signature = made.reveal().split(b".")
    assert json.loads(unbase64(head))["kid"] == "k1"
    assert hmac.new(b"secret", head + b"." + body, "sha256").digest() == unbase64(signature)
    for text in ('{"keys": []}', '{"keys": [{"kty": "oct", "k": "a"}]}', '{"broken'):
        jwks.write_text(text)
        with pytest.raises(SiphonError, match="no key that we can sign with"):
            auth.slurm_key(str(jwks))


def test_munged_is_asked_on_its_socket(tmp_path: Path) -> None:
    path = tmp_path / "m"
    with fakemunged.munged(path) as seen:
        section = auth.MungeSocket(str(path)).section(versions.V22_05, 0, 1.0)
        assert section.credential is not None
        uid, payload = fakemunged.payload_of(section.credential.reveal())
        assert (uid, payload) == (0, auth.hash_payload(versions.V22_05, 0))
        assert munged.decode(str(path), fakemunged.credential(b"p", 7), 1.0) == munge.Decoded(7, 7, b"p")
    head = wire.pack(4, 0x00606D4B) + bytes((4, 2, 0))
    assert seen[0][:7] == head
    assert seen[0][11:15] == b"\1\1\1\0"


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "the end"),
        (b"HTTP/1.1 400", "not as munged"),
        (wire.pack(4, 0x00606D4B) + bytes((4, 3, 0)) + b"\xff\xff\xff\xff", "not as munged"),
        (wire.pack(4, 0x00606D4B) + bytes((4, 3, 0)) + wire.pack(4, 6) + b"\0\0\0\0\0\0", "not as munged"),
    ],
)
def test_a_strange_munged_is_an_error_of_ours(tmp_path: Path, raw: bytes, words: str) -> None:
    with fakemunged.munged(tmp_path / "m", raw=raw), pytest.raises(SiphonError) as caught:
        munged.encode(str(tmp_path / "m"), b"p", 1.0)
    assert caught.value.kind is failure.CREDENTIAL
    assert words in caught.value.evidence


def test_no_munged_and_a_refusing_one(tmp_path: Path) -> None:
    with pytest.raises(SiphonError, match="no credential from munged") as caught:
        munged.encode(str(tmp_path / "none"), b"p", 1.0)
    assert "No such file" in caught.value.evidence
    refusing = fakemunged.munged(tmp_path / "m", refusal=b"Credential replayed")
    with refusing, pytest.raises(SiphonError) as caught:
        munged.encode(str(tmp_path / "m"), b"p", 1.0)
    assert "Credential replayed (munge error 15)" in caught.value.evidence


def munge_reply(version: versions.Version, payload: bytes, uid: int = 0) -> bytes:
    """A controller's reply with a credential of its own."""
    plain = controller.config(version, FILES)
    head = 4 + len(messages.encode_header(version, 0, 0))
    made = wire.pack(4, messages.AUTH_MUNGE) + wire.pack_string(fakemunged.credential(payload, uid))
    return wire.pack_frame(plain[4:head] + made + plain[head + 12 :])


def body_of(version: versions.Version) -> bytes:
    return controller.config(version, FILES)[4 + len(messages.encode_header(version, 0, 0)) + 12 :]


@pytest.mark.parametrize(
    "version", [versions.V20_11, versions.V21_08, versions.V22_05], ids=lambda v: v.release
)
def test_a_controller_that_vouches_for_its_reply_is_checked(
    version: versions.Version, tmp_path: Path
) -> None:
    good = vouch.payload(version, body_of(version))
    wish = client.Wish(protocol=version, timeout=2.0)
    with fakemunged.munged(tmp_path / "m"):
        credentials = auth.MungeSocket(str(tmp_path / "m"))
        with running(lambda _: munge_reply(version, good, 64030)) as one:
            assert client.fetch((one.server,), credentials, wish).vouched_by == 64030
        forged = running(lambda _: munge_reply(version, good[:-1] + b"x"))
        with forged as one, pytest.raises(SiphonError, match="did not prove") as caught:
            client.fetch((one.server,), credentials, wish)
        assert caught.value.kind is failure.AUTH


@pytest.mark.parametrize("release", ["20.11", "22.05"])
def test_recorded_replies_carry_the_credential_that_is_checked(release: str) -> None:
    reply = messages.decode_reply(ALL[f"{release}_munge_client-set"].reply[4:])
    assert reply.auth is not None
    assert reply.auth.plugin == messages.AUTH_MUNGE
    assert reply.auth.credential is not None
    assert reply.auth.credential.reveal().startswith(b"MUNGE:")
    assert reply.body == ALL[f"{release}_munge_client-set"].reply[-reply.header.body_length :]


def test_secrets_are_in_no_text() -> None:
    key = b"0123456789abcdef0123456789abcdef"
    token = made_token(b'{"sun": "alice"}')
    for one in (auth.Jwt(Secret(token)), auth.MungeKey(Secret(key)), auth.SlurmKey(Secret(key))):
        shown = f"{one!r}{one.describe()}{vars(one)}{one.section(versions.V24_11, 0, 1.0)!r}"
        assert "0123456789" not in shown
        assert token.decode() not in shown
        assert "MUNGE:" not in shown
