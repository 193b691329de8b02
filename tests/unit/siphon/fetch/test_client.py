"""The client against controllers on loopback: versions, refusals, the next controller."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from lab.siphon import errors
from lab.siphon.fetch import client, diagnosis, version_cache
from lab.siphon.fetch.client import Environment
from lab.siphon.fetch.servers import Server
from lab.siphon.protocol import messages, versions
from tests.unit.siphon import controller
from tests.unit.siphon.controller import FILES, Controller, released, running
from tests.unit.siphon.fetching import fetch, refused


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
        version_cache.remember(place, one.server, versions.V22_05)
        assert fetch(one, cache=place).version is versions.V26_05
        assert one.versions == ["22.05", "26.11", "26.05"]
        assert version_cache.recall(place, one.server) is versions.V26_05
    with running(released("24.11")) as one:
        version_cache.remember(place, one.server, versions.V26_05)
        assert fetch(one, cache=place).version is versions.V24_11
        assert one.versions == ["26.05", "24.11"]


@pytest.mark.parametrize("release", ["24.11", "25.05", "25.11", "26.05"])
def test_a_refused_token_is_told_from_a_refused_version(release: str) -> None:
    with running(released(release, refuses=True)) as one:
        error = refused(one)
        assert error.kind is errors.AUTH
        assert "user alice" in error.evidence
        assert one.versions[-1] == release


@pytest.mark.parametrize("release", ["20.11", "22.05", "24.05"])
def test_silence_is_a_refused_credential_most_likely(release: str) -> None:
    with running(released(release, refuses=True)) as one:
        error = refused(one)
        assert error.kind is errors.AUTH
        assert "without an answer" in error.message
        assert len(one.asked) == 6


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (2010, errors.PERMISSION),
        (2126, errors.CONFIGLESS),
        (2131, errors.STANDBY),
        (2027, errors.STANDBY),
        (13000, errors.NOT_SLURM),
        (1805, errors.REFUSED),
        (4242, errors.REFUSED),
        (1007, errors.AUTH),
    ],
)
@pytest.mark.parametrize("release", ["20.11", "24.11", "26.05"])
def test_each_refusal_has_its_own_error(release: str, code: int, kind: errors.Kind) -> None:
    with running(released(release, code=code)) as one:
        assert refused(one).kind is kind


def test_a_wrong_prescribed_version_is_a_version_error() -> None:
    for release in ("22.05", "24.11", "26.05"):
        with running(released(release)) as one:
            error = refused(one, protocol=versions.V20_02)
            assert error.kind is errors.VERSION
            assert "--protocol" in error.hint
            assert len(one.asked) == 1


def test_a_controller_newer_than_all_windows_is_named() -> None:
    strange = versions.Version(0x34, "30.02")
    with running(lambda _: controller.error(strange, 1007)) as one:
        error = refused(one)
        assert error.kind is errors.VERSION
        assert "newer than 26.11" in error.message


def test_standby_goes_on_to_the_next() -> None:
    with running(released("24.11", code=2131)) as one, running(released("24.11")) as two:
        assert fetch(one, two).server.port == two.port


def test_all_in_standby_is_said_so() -> None:
    with running(released("24.11", code=2131)) as one, running(released("20.11", code=2027)) as two:
        error = refused(one, two)
        assert error.kind is errors.STANDBY
        assert str(one.server) in error.evidence
        assert str(two.server) in error.evidence


def closed_port() -> Server:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return Server("127.0.0.1", listener.getsockname()[1])


def test_nobody_there() -> None:
    server = closed_port()
    error = refused(server)
    assert error.kind is errors.CONNECT
    assert "refused" in error.evidence.lower()
    with running(released("26.05")) as one:
        assert fetch(server, one).server.port == one.port


def test_standby_and_nobody_there_is_no_standby_everywhere() -> None:
    with running(released("24.11", code=2131)) as one:
        assert refused(one, closed_port()).kind is errors.CONNECT


def test_a_refused_token_is_not_tried_elsewhere() -> None:
    with running(released("24.11", refuses=True)) as one, running(released("24.11")) as two:
        assert refused(one, two).kind is errors.AUTH
        assert two.asked == []


def test_a_silent_controller_leaves_time_for_the_next() -> None:
    with running(lambda _: None) as one, running(released("26.05")) as two:
        assert fetch(one, two, timeout=1.0).server.port == two.port


def test_over_the_rate_limit_it_waits_and_asks_again() -> None:
    answers = iter([controller.error(versions.NEWEST, 1804), controller.config(versions.NEWEST, FILES)])
    slept: list[float] = []
    with running(lambda _: next(answers)) as one:
        found = fetch(one, environment=Environment(sleep=slept.append))
        assert found.tries == 2
        assert slept == [client.BACKOFF]
        assert client.BACKOFF >= 1


def test_over_the_rate_limit_without_time_left() -> None:
    with running(lambda _: controller.error(versions.NEWEST, 1804)) as one:
        assert refused(one, timeout=0.5).kind is errors.REFUSED


def test_a_controller_restarted_in_the_middle_is_asked_again() -> None:
    whole = controller.config(versions.NEWEST, FILES)
    answers = iter([whole[:30], whole[:1], whole])
    with running(lambda _: next(answers)) as one:
        assert fetch(one).tries == 3


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

    assert fetch(server, wait=True, environment=Environment(sleep=late)).version is versions.V26_05
    assert len(started) == 1


def test_the_verdict_knows_every_passing_failure() -> None:
    assert set(diagnosis._MOST_INFORMATIVE) == set(client.ELSEWHERE)


def test_only_the_slurmd_bit_is_ever_set() -> None:
    with running(released("26.05")) as one:
        fetch(one, flags=messages.SLURMD_SET, protocol=versions.V26_05)
        fetch(one, protocol=versions.V26_05)
        bodies = [request[-6:] for request in one.asked]
    assert bodies == [b"\0\0\0\1\0\0", b"\0\0\0\0\0\0"]
