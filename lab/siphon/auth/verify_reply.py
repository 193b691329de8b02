"""Verifies the munge credential that a controller sends with its reply in protocols up to 22.05.

From 23.02 on nothing in a reply proves who sent it: the auth section is omitted (`slurm_send_node_msg` in
src/common/slurm_protocol_api.c). Replies to tokens never had a proof.
"""

from __future__ import annotations

from lab.siphon import errors
from lab.siphon.errors import SiphonError
from lab.siphon.protocol import messages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lab.siphon.protocol.messages import ConfigReply
    from lab.siphon.protocol.versions import Version

TYPE_PAYLOAD = b"\x01" + messages.RESPONSE_CONFIG.to_bytes(2, "little")
"""The payload of a credential from a 20.11 or 21.08 controller."""

MOST_TO_HASH = 4 << 20
"""Bytes. Pure Python hashes one to two megabytes a second, so a larger reply is not verified."""


def payload(version: Version, body: bytes) -> bytes:
    """The payload that the controller's credential must have for this body."""
    if not version.hashed:
        return TYPE_PAYLOAD
    from lab.siphon.protocol.kangarootwelve import kangaroo_twelve

    return b"\x02" + kangaroo_twelve(body, messages.RESPONSE_CONFIG.to_bytes(2, "big"))


def check(server: str, reply: ConfigReply, version: Version, socket: str, timeout: float) -> int | None:
    """The uid that made the reply's credential, or None if the reply cannot be verified.

    Raises `SiphonError` for a credential that munged refuses or that belongs to another message.
    """
    auth = reply.auth
    if auth is None or auth.plugin != messages.AUTH_MUNGE or auth.credential is None:
        return None
    if version.hashed and len(reply.body) > MOST_TO_HASH:
        return None
    from lab.siphon.auth import munged

    try:
        found = munged.decode(socket, auth.credential.reveal(), timeout)
    except SiphonError as error:
        raise _unverified(server, error.evidence) from None
    # slurmctld 20.11.0 to 20.11.8 sent an empty payload.
    if found.payload not in (payload(version, reply.body), b""):
        raise _unverified(server, "its credential belongs to another message")
    return found.uid


def _unverified(server: str, evidence: str) -> SiphonError:
    return SiphonError(
        errors.AUTH,
        f"{server} did not prove that it is the controller; nothing was written",
        evidence=evidence,
        hint="compare munge.key and the clock with the controller's",
    )
