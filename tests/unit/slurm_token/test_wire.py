"""What strangers send: malformed, huge, slow, many at once; the service answers others all the while."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from lab.slurm_token import service as service_module
from lab.slurm_token.audit import Audit
from lab.slurm_token.errors import Refused, TokenError
from lab.slurm_token.http import MOST, parse
from lab.slurm_token.listen import OF_ONE_SOURCE, unix_socket
from lab.slurm_token.rate import MOST_CALLERS, Limit
from tests.unit.slurm_token.world import Running

LINE = b"POST /v1/token HTTP/1.1\r\n"


def served_again(service: Running, kind: str, token: str = "") -> None:
    """As soon as the connections before have ended."""
    until = time.monotonic() + 20
    while service.ask(kind, token).status != 200:
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", 400),
        (b"POST /v1/token HTTP/2.0\r\n\r\n", 400),
        (b"POST http://x/v1/token HTTP/1.1\r\n\r\n", 400),
        (b"post /v1/token HTTP/1.1\r\n\r\n", 400),
        (LINE + b"Host : x\r\n\r\n", 400),
        (LINE + b"Host: x\r\n folded\r\n\r\n", 400),
        (LINE + b"Host: a\r\nHost: b\r\n\r\n", 400),
        (LINE + b"Authorization: Bearer a\r\nauthorization: Bearer b\r\n\r\n", 400),
        (LINE + b"Content-Length: 0\r\nContent-Length: 5\r\n\r\n", 400),
        (LINE + b"Host: \xff\r\n\r\n", 400),
        (LINE + b"Host: a\x00b\r\n\r\n", 400),
        (LINE + b"Host: a\nX: b\r\n\r\n", 400),
        (LINE + b'Content-Length: 15\r\n\r\n{"user": "bob"}', 413),
        (LINE + b"Content-Length: 00\r\n\r\n", 413),
        (LINE + b"Content-Length: 99999999999\r\n\r\n", 413),
        (LINE + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 413),
        (LINE + b"\r\nGET /v1/token HTTP/1.1\r\n\r\n", 413),
        (b"GET /v1/token HTTP/1.1\r\n\r\n", 405),
        (b"DELETE /v1/token HTTP/1.1\r\n\r\n", 405),
    ],
)
def test_what_is_no_request_is_refused(service: Running, data: bytes, status: int) -> None:
    assert service.send(data).status == status
    assert service.ask("unix").status == 200


def test_huge_requests_are_cut(service: Running) -> None:
    for data in (
        LINE + b"X: " + b"a" * (1 << 20),
        LINE + b"X: a\r\n" * 100_000,
        LINE + b"Content-Length: 10000000\r\n\r\n" + b"a" * 10_000_000,
        b"POST /" + b"a" * 300 + b" HTTP/1.1\r\n\r\n",
    ):
        assert service.send(data).status in (400, 413)
    assert service.ask("unix").status == 200
    assert service.log.stat().st_size < 2000


@given(some.binary(max_size=MOST))
def test_any_bytes_are_a_request_or_refused(data: bytes) -> None:
    with suppress(Refused):
        assert all(name == name.lower() for name in parse(data).headers)


def test_slow_clients_are_cut_in_all_not_for_each_byte(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_module, "REQUEST_SECONDS", 0.5)
    with service.unix() as slow:
        begin = time.monotonic()
        try:
            for one in LINE * 100:
                slow.send(bytes([one]))
                time.sleep(0.02)
        except OSError:
            pass
        assert time.monotonic() - begin < 20
    assert service.audit()[-1]["reason"] == "slow"


def test_one_source_that_holds_connections_does_not_shut_others_out(service: Running) -> None:
    with ExitStack() as held:
        for _ in range(OF_ONE_SOURCE * 10):
            held.enter_context(service.tcp())
        time.sleep(0.2)
        assert service.ask("unix").status == 200
    served_again(service, "hub", "hub-token-of-alice")


def test_a_flood_ends_and_is_limited(service: Running) -> None:
    """Two hundred requests at once: each has an answer or a closed connection, and the next one is served."""
    seen: list[int] = []

    def ask() -> None:
        try:
            seen.append(service.ask("hub", "hub-token-that-is-guessed").status)
        except OSError:
            seen.append(0)

    threads = [threading.Thread(target=ask) for _ in range(200)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert set(seen) <= {0, 401, 429}
    assert len(seen) == 200
    served_again(service, "unix")


def test_the_limit_forgets_callers_and_stays_small() -> None:
    now = [0.0]
    limit = Limit(2, 10.0, clock=lambda: now[0])
    assert [limit.take("a") > 0 for _ in range(3)] == [False, False, True]
    now[0] = 10.0
    assert [limit.take("a") > 0 for _ in range(2)] == [False, True]
    for number in range(MOST_CALLERS + 100):
        assert limit.take(str(number)) == 0
    assert len(limit._full_at) == MOST_CALLERS


def test_a_full_disk_is_an_error_of_the_log() -> None:
    full = Audit("/dev/full")
    with pytest.raises(TokenError):
        full.write("issued")


def test_the_log_follows_no_link_and_a_socket_replaces_nothing(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(TokenError):
        Audit(str(tmp_path / "link"))
    tmp_path.chmod(0o755)
    (tmp_path / "file").write_text("precious")
    with pytest.raises(TokenError, match="is no socket"):
        unix_socket(tmp_path / "file", 0o666)
    one = unix_socket(tmp_path / "socket", 0o660)
    assert stat.S_IMODE((tmp_path / "socket").stat().st_mode) == 0o660
    with pytest.raises(TokenError, match="another service answers"):
        unix_socket(tmp_path / "socket", 0o660)
    one.close()
    unix_socket(tmp_path / "socket", 0o660).close()
    tmp_path.chmod(0o777)
    with pytest.raises(TokenError, match="others may write"):
        unix_socket(tmp_path / "other", 0o660)


def test_the_kernel_says_who_asks(service: Running, tmp_path: Path) -> None:
    """A process of another account is refused as that account, whatever it sends."""
    if os.getuid() != 0:
        pytest.skip("only root can become another account")
    for folder in [tmp_path, *tmp_path.parents][:4]:
        if folder.stat().st_uid == 0 and folder != Path("/tmp"):
            folder.chmod(0o755)
    script = (
        "import os, socket, sys\n"
        "os.setgroups([]); os.setgid(2002); os.setuid(2002)\n"
        "s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])\n"
        "s.sendall(b'POST /v1/token HTTP/1.1\\r\\nX-SLURM-USER-NAME: alice\\r\\n\\r\\n')\n"
        "print(s.recv(65536).decode())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(service.path)], capture_output=True, text=True, check=False
    )
    assert '"user": "bob"' in done.stdout, done.stderr
    assert service.audit()[-1]["source"] == "uid 2002"


def test_a_caller_that_goes_away_is_no_trouble(service: Running) -> None:
    for _ in range(5):
        with service.unix() as one:
            one.sendall(LINE)
        with service.unix() as one:
            one.sendall(LINE + b"\r\n")
            one.shutdown(socket.SHUT_RD)
    served_again(service, "unix")
