"""The codec against recordings of real controllers, byte by byte, and against noise."""

from __future__ import annotations

import contextlib
import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.siphon.protocol import messages, versions, wire
from lab.siphon.protocol.messages import Auth, ConfigFile, ConfigReply, ErrorReply, Request, Secret
from tests.unit.siphon import recordings
from tests.unit.siphon.recordings import Recording
from tests.unit.siphon.records import values

ALL = recordings.load()

FRAMED = [r for r in ALL if r.reply_type is not None]

REQUESTS = [r for r in ALL if r.case != "err-garbage"]


def each(found: list[Recording] | tuple[Recording, ...]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("recording", found, ids=lambda r: r.name)


def payload(data: bytes) -> bytes:
    assert wire.frame_length(data) == len(data) - wire.HEAD
    return data[wire.HEAD :]


def spoken(number: int) -> versions.Version:
    """The version of a request; those no controller knows were sent in the nearest layout."""
    known = versions.by_number(number)
    near = versions.NEWEST if number > versions.NEWEST.number else versions.OLDEST
    version = copy.copy(known or near)
    version.number = number
    return version


def test_every_recording_is_there() -> None:
    assert len(ALL) == 94
    assert len(FRAMED) + sum(1 for r in ALL if not r.reply) + sum(1 for r in ALL if r.text) == len(ALL)


@each(FRAMED)
def test_reply_decodes_to_the_expected_values(recording: Recording) -> None:
    reply = messages.decode_reply(payload(recording.reply))
    assert reply.header.version == recording.reply_protocol
    assert reply.header.flags == recording.reply_flags
    assert reply.header.message_type == recording.reply_type
    if recording.files is None:
        assert isinstance(reply, ErrorReply)
        assert reply.code == recording.code
        return
    assert isinstance(reply, ConfigReply)
    assert reply.spool_dir == recording.spool_dir
    wanted = tuple(
        ConfigFile(f.name, exists=f.exists, execute=f.execute, content=f.content) for f in recording.files
    )
    assert values(reply.files) == values(wanted)


@each(FRAMED)
def test_reply_has_an_auth_section_up_to_22_05(recording: Recording) -> None:
    reply = messages.decode_reply(payload(recording.reply))
    spoken_version = recording.reply_protocol or 0
    assert (reply.auth is not None) == (spoken_version <= versions.V22_05.number)
    if reply.auth is not None:
        assert reply.auth.plugin == {"jwt": messages.AUTH_JWT, "munge": messages.AUTH_MUNGE}[recording.auth]


@each(FRAMED)
def test_reply_cut_anywhere_is_refused_where_it_ends(recording: Recording) -> None:
    whole = payload(recording.reply)
    for end in range(len(whole)):
        with pytest.raises(wire.WireError) as caught:
            messages.decode_reply(whole[:end])
        assert 4 <= caught.value.offset <= 4 + end


@each(FRAMED)
def test_reply_with_one_byte_more_is_refused(recording: Recording) -> None:
    with pytest.raises(wire.WireError):
        messages.decode_reply(payload(recording.reply) + b"\0")


@each(REQUESTS)
def test_request_encodes_byte_for_byte(recording: Recording) -> None:
    sent = recording.request
    version = spoken(recording.client_protocol)
    head = len(messages.encode_header(version, 0, 0))
    auth = _auth_in(sent[4 + head :], recording)
    flags = messages.SLURMD_SET if _wants_slurmd_set(recording) else messages.CLIENT_SET
    encoded = messages.encode_request(Request(version, auth, flags))
    assert encoded[: len(sent)] == sent
    assert len(encoded) - len(sent) == (5 if recording.case == "err-cut-frame" else 0)


def _auth_in(data: bytes, recording: Recording) -> Auth:
    if recording.case == "err-unknown-auth-plugin":
        return Auth(7777, Secret(b"x"))
    if recording.case == "err-cut-frame":
        data += bytes(5)
    return messages.decode_auth(wire.Reader(data))


def _wants_slurmd_set(recording: Recording) -> bool:
    body = {True: 6, False: 4}[spoken(recording.client_protocol).port]
    whole = recording.case != "err-cut-frame"
    return recording.request[-body:][:4] == b"\0\0\0\x01" if whole else True


@pytest.mark.parametrize("version", versions.VERSIONS, ids=lambda v: v.release)
@pytest.mark.parametrize("flags", [messages.CLIENT_SET, messages.SLURMD_SET])
@pytest.mark.parametrize(
    "auth",
    [
        Auth(messages.AUTH_MUNGE, Secret(b"MUNGE:AAAA:")),
        Auth(messages.AUTH_JWT, Secret(b"a.b.c"), b"alice"),
        Auth(messages.AUTH_SLURM, Secret(b"a.b.c")),
        Auth(messages.AUTH_NONE),
    ],
    ids=["munge", "jwt", "slurm", "none"],
)
def test_request_comes_back_as_it_was(version: versions.Version, flags: int, auth: Auth) -> None:
    request = Request(version, auth, flags)
    decoded = messages.decode_request(payload(messages.encode_request(request)))
    assert values(decoded) == values(request)


def test_a_request_has_no_flag_in_its_header() -> None:
    """Flag 0x40 stops the first 23.02 controllers."""
    for version in versions.VERSIONS:
        encoded = messages.encode_request(Request(version, Auth(messages.AUTH_NONE)))
        assert encoded[6:8] == b"\0\0"


def test_header_reads_origins_of_both_families() -> None:
    base = messages.encode_header(versions.V24_11, messages.RESPONSE_CODE, 4, flags=messages.FLAG_NO_AUTH)[
        :-2
    ]
    for origin in (b"\0\x02" + bytes(6), b"\0\x0a" + b"\0\0\0\x10" + bytes(18), b"\0\0"):
        reply = messages.decode_reply(base + origin + b"\0\0\x07\xda")
        assert isinstance(reply, ErrorReply)
        assert reply.code == 2010


def test_text_of_an_error_is_read() -> None:
    head = messages.encode_header(
        versions.V26_05, messages.RESPONSE_CODE_TEXT, 12, flags=messages.FLAG_NO_AUTH
    )
    reply = messages.decode_reply(head + b"\0\0\x07\x08" + wire.pack_string(b"why"))
    assert isinstance(reply, ErrorReply)
    assert (reply.code, reply.text) == (1800, b"why")


@pytest.mark.parametrize(
    ("damage", "wanted", "offset"),
    [
        ((0, b"\x21\x00"), "20.02 or later", 4),
        ((0, b"\x2a\x01"), "20.02 or later", 4),
        ((4, b"\x07\xdf"), "type 2016", 4),
        ((6, b"\0\0\0\0"), "a body of 0 bytes", 20),
        ((10, b"\0\x01"), "a forward count of 0", 14),
        ((12, b"\0\x01"), "a return count of 0", 16),
        ((14, b"\0\x63"), "address family", 18),
        ((16, b"\xff\xff\xff\xfe"), "a list", 20),
        ((16, b"\xff\xff\xff\xff"), "a count of files that fits", 20),
        ((22, b"\0\0\0\0"), "a file name", 26),
        ((22, b"\xff\xff\xff\xff"), "a length of a file name within", 26),
    ],
)
def test_damage_is_reported_with_its_offset(damage: tuple[int, bytes], wanted: str, offset: int) -> None:
    whole = bytearray(payload(next(r for r in ALL if r.name == "24.11_jwt_client-set").reply))
    at, new = damage
    whole[at : at + len(new)] = new
    with pytest.raises(wire.WireError) as caught:
        messages.decode_reply(bytes(whole))
    assert wanted in caught.value.wanted
    assert caught.value.offset == offset


@given(st.binary(max_size=400))
def test_only_wire_errors_come_out_of_noise(data: bytes) -> None:
    for decode in (messages.decode_reply, messages.decode_request):
        with contextlib.suppress(wire.WireError):
            decode(data)


@given(st.sampled_from(FRAMED), st.data())
def test_only_wire_errors_come_out_of_damaged_replies(recording: Recording, data: st.DataObject) -> None:
    whole = bytearray(payload(recording.reply))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(whole) - 1))
        whole[at] = data.draw(st.integers(0, 255))
    try:
        reply = messages.decode_reply(bytes(whole))
    except wire.WireError as error:
        where = error.offset
    else:
        where = 4
        assert reply.header.message_type in (2016, 8001, 8002)
    assert 4 <= where <= 4 + len(whole)


def test_secrets_have_no_text() -> None:
    request = Request(versions.NEWEST, Auth(messages.AUTH_JWT, Secret(b"very.secret.token"), b"alice"))
    assert "very" not in f"{request!r}{request.auth}{request.auth.credential!s}"
