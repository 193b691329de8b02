"""The credential in a controller's reply."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.siphon import errors
from lab.siphon.auth import credentials, verify_reply
from lab.siphon.errors import SiphonError
from lab.siphon.fetch import client
from lab.siphon.protocol import messages, versions, wire
from tests.unit.siphon import controller, fakemunged
from tests.unit.siphon.controller import FILES, running
from tests.unit.siphon.recordings import BY_NAME as ALL


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
    good = verify_reply.payload(version, body_of(version))
    wish = client.FetchOptions(protocol=version, timeout=2.0)
    with fakemunged.munged(tmp_path / "m"):
        munge = credentials.MungeSocket(str(tmp_path / "m"))
        with running(lambda _: munge_reply(version, good, 64030)) as one:
            assert client.fetch((one.server,), munge, wish).vouched_by == 64030
        forged = running(lambda _: munge_reply(version, good[:-1] + b"x"))
        with forged as one, pytest.raises(SiphonError, match="did not prove") as caught:
            client.fetch((one.server,), munge, wish)
        assert caught.value.kind is errors.AUTH


@pytest.mark.parametrize("release", ["20.11", "22.05"])
def test_recorded_replies_carry_the_credential_that_is_checked(release: str) -> None:
    reply = messages.decode_reply(ALL[f"{release}_munge_client-set"].reply[4:])
    assert reply.auth is not None
    assert reply.auth.plugin == messages.AUTH_MUNGE
    assert reply.auth.credential is not None
    assert reply.auth.credential.reveal().startswith(b"MUNGE:")
    assert reply.body == ALL[f"{release}_munge_client-set"].reply[-reply.header.body_length :]
