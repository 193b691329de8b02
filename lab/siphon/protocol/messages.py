"""The messages of a configuration fetch, encoded and decoded.

Sources in Slurm: src/common/slurm_protocol_pack.c and src/common/slurm_protocol_defs.h. A message is decoded
in full or refused with `WireError`; an ambiguous reply is never accepted.
"""

from __future__ import annotations

from lab.siphon.protocol.versions import Version, layout
from lab.siphon.protocol.wire import NO_LIST, Reader, WireError, pack, pack_frame, pack_string

REQUEST_CONFIG = 2015
RESPONSE_CONFIG = 2016
RESPONSE_CODE = 8001
RESPONSE_CODE_TEXT = 8002

FLAG_NO_AUTH = 0x40
"""In a reply: it has no auth section. Never set in a request: slurmctld 23.02.0 exits when it receives it."""

AUTH_NONE = 100
AUTH_MUNGE = 101
AUTH_JWT = 102
AUTH_SLURM = 103

CLIENT_SET = 0
SLURMD_SET = 1

FIXED_NAMES = (
    b"slurm.conf",
    b"acct_gather.conf",
    b"cgroup.conf",
    b"cgroup_allowed_devices_file.conf",
    b"ext_sensors.conf",
    b"gres.conf",
    b"knl_cray.conf",
    b"knl_generic.conf",
    b"plugstack.conf",
    b"topology.conf",
    b"job_container.conf",
)
"""The files of a reply up to 20.11, by position. A 20.11 controller sends the last one as absent."""


class Secret:
    """Bytes that are never shown: their text, as in a log or a traceback, is `Secret(…)`."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value = value

    def reveal(self) -> bytes:
        """The bytes, for the code that sends them or signs with them."""
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "Secret(…)"


class Header:
    """The header of every message. Forward and return counts other than 0 are refused, so it has none."""

    __slots__ = ("body_length", "flags", "message_type", "version")

    def __init__(self, version: int, message_type: int, body_length: int, flags: int = 0) -> None:
        self.version = version
        self.message_type = message_type
        self.body_length = body_length
        self.flags = flags


class Auth:
    """An auth section: the plugin and its credential."""

    __slots__ = ("credential", "plugin", "user")

    def __init__(self, plugin: int, credential: Secret | None = None, user: bytes | None = None) -> None:
        self.plugin = plugin
        self.credential = credential
        # auth/jwt only: the user for whom a token of SlurmUser acts.
        self.user = user


class Request:
    """A request for a set of files."""

    __slots__ = ("auth", "flags", "version")

    def __init__(self, version: Version, auth: Auth, flags: int = CLIENT_SET) -> None:
        self.version = version
        self.auth = auth
        self.flags = flags


class ConfigFile:
    """One file as the controller sent it: name and content are untrusted."""

    __slots__ = ("content", "execute", "exists", "name")

    def __init__(self, name: bytes, *, exists: bool, execute: bool = False, content: bytes = b"") -> None:
        self.name = name
        self.exists = exists
        self.execute = execute
        self.content = content


class ConfigReply:
    """A reply with files, in the order in which they were sent."""

    __slots__ = ("auth", "body", "files", "header", "spool_dir")

    def __init__(
        self,
        header: Header,
        auth: Auth | None,
        files: tuple[ConfigFile, ...],
        spool_dir: bytes | None = None,
        body: bytes = b"",
    ) -> None:
        self.header = header
        self.auth = auth
        self.files = files
        # SlurmdSpoolDir as configured (may contain %n and %h); absent in the client set.
        self.spool_dir = spool_dir
        # The bytes that the controller's munge credential covers; empty if there is none.
        self.body = body


class ErrorReply:
    """A reply with an error code."""

    __slots__ = ("auth", "body", "code", "header", "text")

    def __init__(
        self, header: Header, auth: Auth | None, code: int, text: bytes | None = None, body: bytes = b""
    ) -> None:
        self.header = header
        self.auth = auth
        self.code = code
        self.text = text
        self.body = body


def request_body(version: Version, flags: int) -> bytes:
    """One of the four possible bodies: the set, and from 25.05 on a port, 0 because siphon is not a sackd."""
    return pack(4, flags) + (pack(2, 0) if version.port else b"")


def encode_request(request: Request) -> bytes:
    """Encodes a request with its frame."""
    body = request_body(request.version, request.flags)
    head = encode_header(request.version, REQUEST_CONFIG, len(body))
    return pack_frame(head + encode_auth(request.auth) + body)


def encode_header(version: Version, message: int, body_length: int, *, flags: int = 0) -> bytes:
    """Encodes a header in the layout of its version."""
    return b"".join(
        (
            pack(2, version.number),
            pack(2, flags),
            pack(2, 0) if version.message_index else b"",
            pack(2, message),
            pack(4, body_length),
            pack(2, 0),  # forward count
            pack(2, 0),  # return count
            pack(2, 0) if version.origin_family else pack(6, 0),
        )
    )


def encode_auth(auth: Auth) -> bytes:
    """Encodes an auth section in the layout of its plugin."""
    credential = auth.credential.reveal() if auth.credential else None
    section = pack(4, auth.plugin)
    if auth.plugin != AUTH_NONE:
        section += pack_string(credential)
    if auth.plugin == AUTH_JWT:
        section += pack_string(auth.user)
    return section


def decode_header(reader: Reader) -> tuple[Header, Version]:
    """Decodes a header; returns it with the layout of its version."""
    at = reader.offset
    number = reader.integer(2, "a protocol version")
    version = layout(number)
    if version is None:
        raise WireError(at, "a protocol version of 20.02 or later", f"{number:#06x}")
    flags = reader.integer(2, "flags")
    if version.message_index:
        reader.integer(2, "a message index")
    message = reader.integer(2, "a message type")
    body_length = reader.integer(4, "a body length")
    for what in ("forward count", "return count"):
        at = reader.offset
        if count := reader.integer(2, f"a {what}"):
            raise WireError(at, f"a {what} of 0", f"{count}")
    _skip_origin(reader, version)
    return Header(version=number, message_type=message, body_length=body_length, flags=flags), version


def _skip_origin(reader: Reader, version: Version) -> None:
    if not version.origin_family:
        reader.raw(6, "an origin address")
        return
    at = reader.offset
    family = reader.integer(2, "an address family")
    if family == 2:  # AF_INET
        reader.raw(6, "an IPv4 origin")
    elif family == 10:  # AF_INET6
        length_at = reader.offset
        if (length := reader.integer(4, "the length of an IPv6 origin")) != 16:
            raise WireError(length_at, "16 bytes of IPv6 origin", f"{length}")
        reader.raw(18, "an IPv6 origin")
    elif family:
        raise WireError(at, "address family 0, 2 or 10", f"{family}")


def decode_auth(reader: Reader) -> Auth:
    """Decodes an auth section."""
    at = reader.offset
    plugin = reader.integer(4, "an auth plugin")
    if plugin == AUTH_NONE:
        return Auth(plugin)
    if plugin not in (AUTH_MUNGE, AUTH_JWT, AUTH_SLURM):
        raise WireError(at, "auth plugin 100 to 103", f"{plugin}")
    credential = reader.string("a credential")
    user = reader.string("a user name") if plugin == AUTH_JWT else None
    return Auth(plugin, None if credential is None else Secret(credential), user)


def decode_request(payload: bytes) -> Request:
    """Decodes a frame's payload as a request, as a controller does."""
    reader = Reader(payload)
    header, version = decode_header(reader)
    _expect_type(header, REQUEST_CONFIG)
    auth = decode_auth(reader)
    _expect_body(reader, header)
    flags = reader.integer(4, "request flags")
    if version.port:
        reader.integer(2, "a port")
    reader.end("the request")
    return Request(version, auth, flags)


def _expect_type(header: Header, *types: int) -> None:
    if header.message_type not in types:
        wanted = " or ".join(str(number) for number in types)
        raise WireError(4, f"a message of type {wanted}", f"type {header.message_type}")


def _expect_body(reader: Reader, header: Header) -> None:
    if header.body_length != reader.left:
        raise WireError(reader.offset, f"a body of {header.body_length} bytes", f"{reader.left}")


def decode_reply(payload: bytes) -> ConfigReply | ErrorReply:
    """Decodes a frame's payload as a reply."""
    reader = Reader(payload)
    header, version = decode_header(reader)
    _expect_type(header, RESPONSE_CONFIG, RESPONSE_CODE, RESPONSE_CODE_TEXT)
    auth = None if header.flags & FLAG_NO_AUTH else decode_auth(reader)
    _expect_body(reader, header)
    # Only a munge credential covers the body. Without one the copy, 30 MB on a large site, would be wasted.
    body = payload[len(payload) - reader.left :] if auth and auth.plugin == AUTH_MUNGE else b""
    if header.message_type == RESPONSE_CONFIG:
        files = _listed_files(reader, version) if version.listed else _fixed_files(reader)
        spool_dir = reader.string("SlurmdSpoolDir")
        reader.end("the reply")
        return ConfigReply(header, auth, files, spool_dir, body)
    code = reader.integer(4, "an error number")
    text = reader.string("an error text") if header.message_type == RESPONSE_CODE_TEXT else None
    reader.end("the error")
    return ErrorReply(header, auth, code, text, body)


def _fixed_files(reader: Reader) -> tuple[ConfigFile, ...]:
    """Twelve strings in fixed order. An empty file and a missing file cannot be told apart."""
    found = []
    for name in FIXED_NAMES:
        content = reader.string(name.decode())
        found.append(ConfigFile(name, exists=content is not None, content=content or b""))
    return tuple(found)


def _listed_files(reader: Reader, version: Version) -> tuple[ConfigFile, ...]:
    at = reader.offset
    count = reader.integer(4, "a count of files")
    smallest = 10 if version.execute else 9
    if count == NO_LIST:
        raise WireError(at, "a list of files", "no list")
    if count * smallest > reader.left:
        raise WireError(at, f"a count of files that fits {reader.left} bytes", f"{count}")
    return tuple(_listed_file(reader, version) for _ in range(count))


def _listed_file(reader: Reader, version: Version) -> ConfigFile:
    exists = reader.boolean("an exists flag")
    execute = version.execute and reader.boolean("an execute flag")
    at = reader.offset
    name = reader.string("a file name")
    if not name:
        raise WireError(at, "a file name", "none")
    content = reader.string("a file's content")
    # Neither an empty file nor a missing file has content here; only the flag tells them apart.
    return ConfigFile(name, exists=exists, execute=execute, content=(content or b"") if exists else b"")
