"""One exchange with servers that are late, break off or are not controllers."""

from __future__ import annotations

import socket
import threading
import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.siphon import errors
from lab.siphon.fetch import client, servers
from lab.siphon.fetch.client import FetchOptions
from lab.siphon.fetch.servers import Server
from lab.siphon.protocol import versions, wire
from lab.siphon.protocol.messages import ConfigFile
from tests.unit.siphon import controller
from tests.unit.siphon.controller import FILES, released, running
from tests.unit.siphon.fetching import JWT, fetch, refused
from tests.unit.siphon.records import values


def test_an_unknown_name_is_a_connect_error() -> None:
    error = refused(Server("does-not-exist.invalid"))
    assert error.kind in (errors.CONNECT, errors.TIMEOUT)  # a resolver may be slow to say no


def test_silence_ends_at_the_deadline() -> None:
    with running(lambda _: None) as one:
        start = time.monotonic()
        assert refused(one, timeout=0.4).kind is errors.TIMEOUT
        assert time.monotonic() - start < 2


def test_a_reply_that_drips_ends_at_the_deadline() -> None:
    """Each byte restarts no clock."""
    whole = controller.config(versions.NEWEST, FILES)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ended = threading.Event()

        def drip() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                for at in range(len(whole)):
                    if ended.wait(0.1):
                        return
                    connection.sendall(whole[at : at + 1])

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            start = time.monotonic()
            error = refused(Server("127.0.0.1", listener.getsockname()[1]), timeout=0.5)
            assert error.kind is errors.TIMEOUT
            assert time.monotonic() - start < 2
        finally:
            ended.set()
            thread.join()


def test_a_reply_cut_at_every_byte_is_an_error_or_a_closed_door() -> None:
    whole = controller.config(versions.NEWEST, FILES)
    for end in range(1, len(whole), 7):
        with running(lambda _, end=end: whole[:end]) as one:  # type: ignore[misc]
            error = refused(one, protocol=versions.NEWEST)
            assert error.kind is errors.MALFORMED
            assert "broke off" in error.message


TLS_ALERT = bytes.fromhex("15030300020246")


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (controller.HTTP, errors.NOT_SLURM),
        (TLS_ALERT, errors.NOT_SLURM),
        (b"SSH-2.0-OpenSSH_9.2\r\n", errors.NOT_SLURM),
        (b"220 mail.example ESMTP\r\n", errors.NOT_SLURM),
        (b"\xff\xff\xff\xff", errors.NOT_SLURM),
        (b"\x40\0\0\1", errors.NOT_SLURM),
        (b"\0\0\0\0", errors.MALFORMED),
        (b"\0\0\0\1x", errors.MALFORMED),
        (b"\0\0\0\x04\x2e\0\0\0", errors.MALFORMED),
        (wire.pack_frame(controller.error(versions.V26_11, 0)[4:] + b"\0"), errors.MALFORMED),
        (controller.config(versions.V24_11, FILES), errors.MALFORMED),
    ],
    ids=["http", "tls", "ssh", "smtp", "ff", "1GiB+1", "empty", "one", "cut", "longer", "other version"],
)
def test_hostile_replies_end_in_one_clear_error(reply: bytes, kind: errors.Kind) -> None:
    with running(lambda _: reply) as one:
        assert refused(one, timeout=1.0).kind is kind


def test_a_promised_gibibyte_takes_no_memory() -> None:
    with running(lambda _: b"\x40\0\0\0" + b"x" * 1000) as one:
        tracemalloc.start()
        try:
            assert refused(one, timeout=1.0).kind is errors.MALFORMED
            assert tracemalloc.get_traced_memory()[1] < 20 << 20
        finally:
            tracemalloc.stop()


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=60))
def test_whatever_a_stranger_says_is_an_error_of_ours(data: bytes) -> None:
    with running(lambda _: data) as one:
        assert refused(one, protocol=versions.NEWEST, timeout=0.5).kind in errors.KINDS


def test_ipv6() -> None:
    try:
        with running(released("26.05"), host="::1") as one:
            found = client.fetch(servers.parse_servers((f"[::1]:{one.port}",)), JWT, FetchOptions())
    except OSError:
        pytest.skip("no IPv6 on this machine")
    assert str(found.server) == f"[::1]:{one.port}"


def test_thirty_megabytes_come_whole() -> None:
    big = (*FILES, ConfigFile(b"nodes.conf", exists=True, content=b"NodeName=n[1-9] CPUs=4\n" * 1_300_000))
    with running(released("26.05", big)) as one:
        assert values(fetch(one).reply.files) == values(big)
