"""The client against controllers on loopback: finding the version, passing on, refusing what is hostile."""

from __future__ import annotations

import base64
import json
import os
import socket
import sys
import threading
import time
import tracemalloc
import types
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.slurm import auth, cache, client, failure, messages, refusal, search, servers, versions, wire
from lab.slurm.client import Fetched, Tools, Wish
from lab.slurm.failure import SiphonError
from lab.slurm.messages import ConfigFile
from lab.slurm.record import Secret
from lab.slurm.search import Try
from lab.slurm.servers import Server
from tests.unit.slurm import controller
from tests.unit.slurm.controller import FILES, Controller, released, running


def token(user: str = "alice", expires: float | None = None) -> Secret:
    claims = {"exp": time.time() + 600 if expires is None else expires, "sun": user}
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=")
    return Secret(b"eyJhbGciOiJIUzI1NiJ9." + body + b".c2lnbmF0dXJlLXNlY3JldA")


JWT = auth.Jwt(token())


def fetch(*found: Controller | Server, tools: Tools | None = None, **wish: Any) -> Fetched:
    asked = tuple(one.server if isinstance(one, Controller) else one for one in found)
    hope: dict[str, Any] = {"timeout": 5.0, **wish}
    return client.fetch(asked, JWT, Wish(**hope), tools)


def refused(*found: Controller | Server, **wish: Any) -> SiphonError:
    with pytest.raises(SiphonError) as caught:
        fetch(*found, **wish)
    error = caught.value
    assert error.message
    assert error.evidence
    assert error.hint
    assert "c2lnbmF0dXJl" not in f"{error}{error.message}{error.evidence}{error.hint}"
    return error


@pytest.mark.parametrize(
    ("release", "http", "asked"),
    [
        ("20.02", True, ["26.11", "23.02", "20.11", "20.02"]),
        ("20.11", True, ["26.11", "23.02", "20.11", "22.05", "21.08"]),
        ("21.08", True, ["26.11", "23.02", "20.11", "22.05", "21.08"]),
        ("22.05", True, ["26.11", "23.02", "20.11", "22.05"]),
        ("23.02", True, ["26.11", "23.02", "24.05", "23.11"]),
        ("23.11", True, ["26.11", "23.02", "24.05", "23.11"]),
        ("24.05", True, ["26.11", "23.02", "24.05"]),
        ("24.11", True, ["26.11", "24.11"]),
        ("25.05", True, ["26.11", "25.05"]),
        ("25.11", True, ["26.11", "26.05", "25.11"]),
        ("26.05", True, ["26.11", "26.05"]),
        ("26.11", True, ["26.11"]),
        ("26.05", False, ["26.11", "23.02", "20.11", "20.02", "26.05"]),
        ("25.11", False, ["26.11", "23.02", "20.11", "20.02", "26.05", "25.11"]),
    ],
)
def test_the_version_is_found_in_few_tries(
    release: str, http: bool, asked: list[str], tmp_path: Path
) -> None:
    with running(released(release, http=http)) as one:
        found = fetch(one, cache=str(tmp_path / "cache"))
        assert one.versions == asked
        assert found.tries == len(asked)
        assert found.version.release == release
        assert (found.release or "").startswith(release)
        assert found.reply.files[0].content == FILES[0].content
        # The second time it is known.
        again = fetch(one, cache=str(tmp_path / "cache"))
        assert one.versions == [*asked, release]
        assert again.release is None
        # A prescribed version is the only one asked for.
        assert fetch(one, protocol=versions.by_release(release)).tries == 1


def test_an_upgraded_controller_is_found_again(tmp_path: Path) -> None:
    place = str(tmp_path)
    with running(released("26.05")) as one:
        cache.remember(place, one.server, versions.V22_05)
        assert fetch(one, cache=place).version is versions.V26_05
        assert one.versions == ["22.05", "26.11", "26.05"]
        assert cache.recall(place, one.server) is versions.V26_05
    with running(released("24.11")) as one:
        cache.remember(place, one.server, versions.V26_05)
        assert fetch(one, cache=place).version is versions.V24_11
        assert one.versions == ["26.05", "24.11"]


def test_the_cache_may_fail_in_every_way(tmp_path: Path) -> None:
    server = Server("h")
    assert cache.recall(None, server) is None
    cache.remember(None, server, versions.V24_11)
    cache.remember("/proc/nowhere", server, versions.V24_11)
    place = tmp_path / "cache"
    cache.remember(str(place), server, versions.V24_11)
    (file,) = place.iterdir()
    assert cache.recall(str(place), server) is versions.V24_11
    os.utime(file, (1, 1))
    assert cache.recall(str(place), server) is None  # too old
    file.write_text("nonsense" * 9)
    assert cache.recall(str(place), server) is None
    cache.forget(str(place), server)
    assert list(place.iterdir()) == []
    assert cache.folder({"XDG_CACHE_HOME": "/x"}) == "/x/siphon"
    assert cache.folder({"HOME": "/h", "XDG_CACHE_HOME": "relative"}) == "/h/.cache/siphon"
    assert cache.folder({}) is None


@given(
    st.sampled_from(versions.VERSIONS),
    st.booleans(),
    st.booleans(),
    st.none() | st.sampled_from(versions.VERSIONS),
)
def test_the_search_always_ends_with_the_best_version(
    own: versions.Version, http: bool, telling: bool, first: versions.Version | None
) -> None:
    """For every release, its window, its manners and whatever was remembered."""
    width = 3 if own.number >= versions.V24_11.number else 2
    history: tuple[Try, ...] = ()
    while (version := search.next_try(history, first)) is not None:
        assert version not in [entry.version for entry in history]
        if own.number - (width << 8) <= version.number <= own.number:
            entry = Try(version, search.ACCEPTED)
        elif own.number >= versions.V25_11.number and http:
            entry = Try(version, search.HTTP)
        elif versions.V24_11.number <= own.number < versions.V25_11.number and telling:
            entry = Try(version, search.TOLD, own.number)
        else:
            entry = Try(version, search.SILENT)
        history = (*history, entry)
        assert len(history) <= 9
    accepted = [entry.version for entry in history if entry.outcome == search.ACCEPTED]
    silent_new = own.number in (versions.V24_11.number, versions.V25_05.number) and not telling
    if silent_new:
        return  # no release is like this; the search only has to end
    assert accepted
    if accepted[0] != first:
        assert max(accepted, key=lambda v: v.number) is own


@pytest.mark.parametrize("release", ["24.11", "25.05", "25.11", "26.05"])
def test_a_refused_token_is_told_from_a_refused_version(release: str) -> None:
    with running(released(release, refuses=True)) as one:
        error = refused(one)
        assert error.kind is failure.AUTH
        assert "user alice" in error.evidence
        assert one.versions[-1] == release


@pytest.mark.parametrize("release", ["20.11", "22.05", "24.05"])
def test_silence_is_a_refused_credential_most_likely(release: str) -> None:
    with running(released(release, refuses=True)) as one:
        error = refused(one)
        assert error.kind is failure.AUTH
        assert "without an answer" in error.message
        assert len(one.asked) == 6


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (2010, failure.PERMISSION),
        (2126, failure.CONFIGLESS),
        (2131, failure.STANDBY),
        (2027, failure.STANDBY),
        (13000, failure.NOT_SLURM),
        (1805, failure.REFUSED),
        (4242, failure.REFUSED),
        (1007, failure.AUTH),
    ],
)
@pytest.mark.parametrize("release", ["20.11", "24.11", "26.05"])
def test_each_refusal_has_its_own_error(release: str, code: int, kind: failure.Kind) -> None:
    with running(released(release, code=code)) as one:
        assert refused(one).kind is kind


def test_a_wrong_prescribed_version_is_a_version_error() -> None:
    for release in ("22.05", "24.11", "26.05"):
        with running(released(release)) as one:
            error = refused(one, protocol=versions.V20_02)
            assert error.kind is failure.VERSION
            assert "--protocol" in error.hint
            assert len(one.asked) == 1


def test_a_controller_newer_than_all_windows_is_named() -> None:
    strange = versions.Version(**{**vars(versions.NEWEST), "number": 0x3400})
    with running(lambda _: controller.error(strange, 1007)) as one:
        error = refused(one)
        assert error.kind is failure.VERSION
        assert "newer than 26.11" in error.message


def test_standby_goes_on_to_the_next() -> None:
    with running(released("24.11", code=2131)) as one, running(released("24.11")) as two:
        assert fetch(one, two).server == two.server


def test_all_in_standby_is_said_so() -> None:
    with running(released("24.11", code=2131)) as one, running(released("20.11", code=2027)) as two:
        error = refused(one, two)
        assert error.kind is failure.STANDBY
        assert str(one.server) in error.evidence
        assert str(two.server) in error.evidence


def closed_port() -> Server:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return Server("127.0.0.1", listener.getsockname()[1])


def test_nobody_there() -> None:
    server = closed_port()
    error = refused(server)
    assert error.kind is failure.CONNECT
    assert "refused" in error.evidence.lower()
    with running(released("26.05")) as one:
        assert fetch(server, one).server == one.server


def test_standby_and_nobody_there_is_no_standby_everywhere() -> None:
    with running(released("24.11", code=2131)) as one:
        assert refused(one, closed_port()).kind is failure.CONNECT


def test_a_refused_token_is_not_tried_elsewhere() -> None:
    with running(released("24.11", refuses=True)) as one, running(released("24.11")) as two:
        assert refused(one, two).kind is failure.AUTH
        assert two.asked == []


def test_an_unknown_name_is_a_connect_error() -> None:
    error = refused(Server("does-not-exist.invalid"))
    assert error.kind in (failure.CONNECT, failure.TIMEOUT)  # a resolver may be slow to say no


def test_silence_ends_at_the_deadline() -> None:
    with running(lambda _: None) as one:
        start = time.monotonic()
        assert refused(one, timeout=0.4).kind is failure.TIMEOUT
        assert time.monotonic() - start < 2


def test_a_silent_controller_leaves_time_for_the_next() -> None:
    with running(lambda _: None) as one, running(released("26.05")) as two:
        assert fetch(one, two, timeout=1.0).server == two.server


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
            assert error.kind is failure.TIMEOUT
            assert time.monotonic() - start < 2
        finally:
            ended.set()
            thread.join()


def test_over_the_rate_limit_it_waits_and_asks_again() -> None:
    answers = iter([controller.error(versions.NEWEST, 1804), controller.config(versions.NEWEST, FILES)])
    slept: list[float] = []
    with running(lambda _: next(answers)) as one:
        found = fetch(one, tools=Tools(sleep=slept.append))
        assert found.tries == 2
        assert slept == [client.BACKOFF]
        assert client.BACKOFF >= 1


def test_over_the_rate_limit_without_time_left() -> None:
    with running(lambda _: controller.error(versions.NEWEST, 1804)) as one:
        assert refused(one, timeout=0.5).kind is failure.REFUSED


def test_a_controller_restarted_in_the_middle_is_asked_again() -> None:
    whole = controller.config(versions.NEWEST, FILES)
    answers = iter([whole[:30], whole[:1], whole])
    with running(lambda _: next(answers)) as one:
        assert fetch(one).tries == 3


def test_a_reply_cut_at_every_byte_is_an_error_or_a_closed_door() -> None:
    whole = controller.config(versions.NEWEST, FILES)
    for end in range(1, len(whole), 7):
        with running(lambda _, end=end: whole[:end]) as one:  # type: ignore[misc]
            error = refused(one, protocol=versions.NEWEST)
            assert error.kind is failure.MALFORMED
            assert "broke off" in error.message


def test_with_wait_a_controller_may_come_late() -> None:
    server = closed_port()
    listening = threading.Event()
    started: list[Controller] = []

    def late(seconds: float) -> None:
        assert seconds == client.PAUSE
        if not listening.is_set():
            listening.set()
            one = Controller(released("26.05"))
            listener = socket.create_server(("127.0.0.1", server.port))

            def accept() -> None:
                with listener:
                    for _ in range(2):
                        one.serve(listener.accept()[0])

            thread = threading.Thread(target=accept)
            thread.start()
            started.append(one)

    assert fetch(server, wait=True, tools=Tools(sleep=late)).version is versions.V26_05
    assert len(started) == 1


TLS_ALERT = bytes.fromhex("15030300020246")


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (controller.HTTP, failure.NOT_SLURM),
        (TLS_ALERT, failure.NOT_SLURM),
        (b"SSH-2.0-OpenSSH_9.2\r\n", failure.NOT_SLURM),
        (b"220 mail.example ESMTP\r\n", failure.NOT_SLURM),
        (b"\xff\xff\xff\xff", failure.NOT_SLURM),
        (b"\x40\0\0\1", failure.NOT_SLURM),
        (b"\0\0\0\0", failure.MALFORMED),
        (b"\0\0\0\1x", failure.MALFORMED),
        (b"\0\0\0\x04\x2e\0\0\0", failure.MALFORMED),
        (wire.pack_frame(controller.error(versions.V26_11, 0)[4:] + b"\0"), failure.MALFORMED),
        (controller.config(versions.V24_11, FILES), failure.MALFORMED),
    ],
    ids=["http", "tls", "ssh", "smtp", "ff", "1GiB+1", "empty", "one", "cut", "longer", "other version"],
)
def test_hostile_replies_end_in_one_clear_error(reply: bytes, kind: failure.Kind) -> None:
    with running(lambda _: reply) as one:
        assert refused(one, timeout=1.0).kind is kind


def test_a_promised_gibibyte_takes_no_memory() -> None:
    with running(lambda _: b"\x40\0\0\0" + b"x" * 1000) as one:
        tracemalloc.start()
        try:
            assert refused(one, timeout=1.0).kind is failure.MALFORMED
            assert tracemalloc.get_traced_memory()[1] < 20 << 20
        finally:
            tracemalloc.stop()


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=60))
def test_whatever_a_stranger_says_is_an_error_of_ours(data: bytes) -> None:
    with running(lambda _: data) as one:
        assert refused(one, protocol=versions.NEWEST, timeout=0.5).kind in failure.KINDS


def test_ipv6() -> None:
    try:
        with running(released("26.05"), host="::1") as one:
            found = client.fetch(servers.parse_servers((f"[::1]:{one.port}",)), JWT, Wish())
    except OSError:
        pytest.skip("no IPv6 on this machine")
    assert str(found.server) == f"[::1]:{one.port}"


def test_thirty_megabytes_come_whole() -> None:
    big = (*FILES, ConfigFile(b"nodes.conf", exists=True, content=b"NodeName=n[1-9] CPUs=4\n" * 1_300_000))
    with running(released("26.05", big)) as one:
        assert fetch(one).reply.files == big


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ctl", [("ctl", 6817)]),
        ("ctl:7000", [("ctl", 7000)]),
        ("ctl:6817-6819", [("ctl", 6817), ("ctl", 6818), ("ctl", 6819)]),
        ("a,b:1", [("a", 6817), ("b", 1)]),
        ("ctl[1-2]:9", [("ctl1", 9), ("ctl2", 9)]),
        ("[::1]", [("::1", 6817)]),
        ("[fe80::1%eth0]:7", [("fe80::1%eth0", 7)]),
        ("127.0.0.1,127.0.0.1:6817", [("127.0.0.1", 6817)]),
    ],
)
def test_servers_are_named_as_slurm_names_them(text: str, found: list[tuple[str, int]]) -> None:
    assert [(one.host, one.port) for one in servers.parse_servers((text,))] == found


@pytest.mark.parametrize(
    "text",
    ["", ",", ":6817", "ctl:", "::1", "[::1", "[::1]x", "[ctl]", "ctl:0", "ctl:65536", "ctl:9-1", "ctl:a",
     "ctl:1-65535", "-o", "a b", "a/b", "ctl[1-", "ctl:²", "ctl[1-999]"],
)  # fmt: skip
def test_what_names_no_server_is_refused(text: str) -> None:
    if text == "ctl:":
        assert servers.parse_servers((text,)) == (Server("ctl"),)
        return
    with pytest.raises(SiphonError) as caught:
        servers.parse_servers((text,))
    assert caught.value.kind is failure.USAGE


def test_the_verdict_knows_every_passing_failure() -> None:
    assert set(refusal._TELLING) == set(client.ELSEWHERE)


def test_only_the_slurmd_bit_is_ever_set() -> None:
    with running(released("26.05")) as one:
        fetch(one, flags=messages.SLURMD_SET, protocol=versions.V26_05)
        fetch(one, protocol=versions.V26_05)
        bodies = [request[-6:] for request in one.asked]
    assert bodies == [b"\0\0\0\1\0\0", b"\0\0\0\0\0\0"]


class Record:
    """An SRV record as dnspython gives it."""

    def __init__(self, priority: int, weight: int, target: str) -> None:
        self.priority, self.weight, self.target, self.port = priority, weight, target, 6817


def fake_dns(monkeypatch: pytest.MonkeyPatch, resolve: object) -> None:
    package, exception, resolver = (
        types.ModuleType(name) for name in ("dns", "dns.exception", "dns.resolver")
    )
    exception.DNSException = KeyError  # type: ignore[attr-defined]
    resolver.resolve = resolve  # type: ignore[attr-defined]
    package.exception, package.resolver = exception, resolver  # type: ignore[attr-defined]
    for module in (package, exception, resolver):
        monkeypatch.setitem(sys.modules, module.__name__, module)


def test_dns_names_controllers_by_priority(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(name: str, kind: str, **_: object) -> list[Record]:
        assert (name, kind) == ("_slurmctld._tcp", "SRV")
        return [Record(10, 0, "b.example."), Record(0, 1, "c.example."), Record(0, 9, "a.example.")]

    fake_dns(monkeypatch, resolve)
    found = servers.look_up(1.0)
    assert [str(one) for one in found] == ["a.example:6817", "c.example:6817", "b.example:6817"]


def test_a_name_that_dns_does_not_know_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(*_: object, **__: object) -> None:
        raise KeyError("NXDOMAIN")

    fake_dns(monkeypatch, resolve)
    with pytest.raises(SiphonError, match=r"_slurmctld\._tcp") as caught:
        servers.look_up(1.0)
    assert caught.value.kind is failure.CONNECT
