"""Checks the credential that a controller sends with its reply in protocols up to 22.05.

From 23.02 on nothing in a reply proves who sent it (`slurm_send_node_msg` in src/common/slurm_protocol_api.c
sets the flag for no auth section), and for tokens it never did.
"""

from __future__ import annotations

from lab.slurm import failure, messages
from lab.slurm.failure import SiphonError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lab.slurm.messages import ConfigReply
    from lab.slurm.servers import Server
    from lab.slurm.versions import Version

TYPE_PAYLOAD = b"\x01" + messages.RESPONSE_CONFIG.to_bytes(2, "little")
"""What a 20.11 or 21.08 controller's credential holds."""

MOST_TO_HASH = 4 << 20
"""Pure Python hashes a megabyte or two a second; a larger reply goes unchecked rather than be late."""


def payload(version: Version, body: bytes) -> bytes:
    """What the controller's credential must hold for this body."""
    if not version.hashed:
        return TYPE_PAYLOAD
    from lab.slurm.k12 import kangaroo_twelve

    return b"\x02" + kangaroo_twelve(body, messages.RESPONSE_CONFIG.to_bytes(2, "big"))


def check(server: Server, reply: ConfigReply, version: Version, socket: str, timeout: float) -> int | None:
    """The uid that vouches for this reply, or None where it cannot be told; an impostor is an error."""
    auth = reply.auth
    if auth is None or auth.plugin != messages.AUTH_MUNGE or auth.credential is None:
        return None
    if version.hashed and len(reply.body) > MOST_TO_HASH:
        return None
    from lab.slurm import munged

    try:
        found = munged.decode(socket, auth.credential.reveal(), timeout)
    except SiphonError as error:
        raise _impostor(server, error.evidence) from None
    # 20.11.0 to 20.11.8 sent nothing here.
    if found.payload not in (payload(version, reply.body), b""):
        raise _impostor(server, "its credential was made for another message")
    return found.uid


def _impostor(server: Server, evidence: str) -> SiphonError:
    return SiphonError(
        failure.AUTH,
        f"{server} did not prove that it is the controller; nothing was written",
        evidence=evidence,
        hint="compare munge.key and the clock with the controller's",
    )
