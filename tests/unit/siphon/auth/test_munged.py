"""Requests to a munged on a socket."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.siphon import errors
from lab.siphon.auth import credentials, munged
from lab.siphon.errors import SiphonError
from lab.siphon.protocol import versions, wire
from tests.unit.siphon import fakemunged
from tests.unit.siphon.records import values


def test_munged_is_asked_on_its_socket(tmp_path: Path) -> None:
    path = tmp_path / "m"
    with fakemunged.munged(path) as seen:
        section = credentials.MungeSocket(str(path)).section(versions.V22_05, 0, 1.0)
        assert section.credential is not None
        uid, payload = fakemunged.payload_of(section.credential.reveal())
        assert (uid, payload) == (0, credentials.hash_payload(versions.V22_05, 0))
        decoded = munged.decode(str(path), fakemunged.credential(b"p", 7), 1.0)
        assert values(decoded) == {"uid": 7, "gid": 7, "payload": b"p"}
    head = wire.pack(4, 0x00606D4B) + bytes((4, 2, 0))
    assert seen[0][:7] == head
    assert seen[0][11:15] == b"\1\1\1\0"


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "the end"),
        (b"HTTP/1.1 400", "not from munged"),
        (wire.pack(4, 0x00606D4B) + bytes((4, 3, 0)) + b"\xff\xff\xff\xff", "not from munged"),
        (wire.pack(4, 0x00606D4B) + bytes((4, 3, 0)) + wire.pack(4, 6) + b"\0\0\0\0\0\0", "not from munged"),
    ],
)
def test_a_strange_munged_is_an_error_of_ours(tmp_path: Path, raw: bytes, words: str) -> None:
    with fakemunged.munged(tmp_path / "m", raw=raw), pytest.raises(SiphonError) as caught:
        munged.encode(str(tmp_path / "m"), b"p", 1.0)
    assert caught.value.kind is errors.CREDENTIAL
    assert words in caught.value.evidence


def test_no_munged_and_a_refusing_one(tmp_path: Path) -> None:
    with pytest.raises(SiphonError, match="no credential from munged") as caught:
        munged.encode(str(tmp_path / "none"), b"p", 1.0)
    assert "No such file" in caught.value.evidence
    refusing = fakemunged.munged(tmp_path / "m", refusal=b"Credential replayed")
    with refusing, pytest.raises(SiphonError) as caught:
        munged.encode(str(tmp_path / "m"), b"p", 1.0)
    assert "Credential replayed (munge error 15)" in caught.value.evidence
