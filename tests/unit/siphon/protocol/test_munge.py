"""Credentials from a munge key against recorded ones."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from lab.siphon.auth import credentials
from lab.siphon.protocol import messages, munge, versions
from tests.unit.siphon.recordings import BY_NAME as ALL
from tests.unit.siphon.recordings import KEYS, sent

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
    assert payload == credentials.hash_payload(version, flags)
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
