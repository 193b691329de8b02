"""The command: serve and get as processes, keys by hand, one file, what it says when it cannot."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from lab import standalone
from lab.slurm_token import errors, fetch
from lab.slurm_token.cli import main
from tests.unit.slurm_token.world import Running, claims

ME = ["--least-uid", "0"]


def until(path: Path, process: subprocess.Popen[str], *, text: str = "") -> None:
    """Waits for a file, or for what it is to say."""
    end = time.monotonic() + 30
    while not path.exists() or (text and text not in path.read_text()):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.02)


@contextmanager
def serving(program: Path, folder: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """The service as a process, which has ended afterwards whatever happens."""
    command = [sys.executable, "-I", "-S", str(program), "serve", "--keys", str(folder / "k"), *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.communicate(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("dist") / "slurm-token.pyz"
    standalone.build("slurm_token", str(target))
    return target


def test_one_file_serves_and_ends_cleanly(program: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    path = tmp_path / "socket"
    with serving(program, tmp_path, "--socket", str(path)) as process:
        until(path, process)
        got = subprocess.run(
            [sys.executable, "-I", "-S", str(program), "get", f"unix:{path}", "-o", str(tmp_path / "token")],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        process.send_signal(signal.SIGTERM)
        log = process.communicate(timeout=30)[1]
    assert process.returncode == 0
    assert not path.exists()
    if os.getuid() < 1000:  # as root these tests are nobody who gets a token
        assert (got.returncode, "this account gets no token here" in got.stderr) == (errors.REFUSED, True)
        assert not (tmp_path / "token").exists()
    else:
        assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600
    assert '"event": "ready"' in log


def test_get_renews_before_the_end(service: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, target, pauses = fetch.Place(f"unix:{service.path}"), tmp_path / "token", []

    class Stop:
        def wait(self, seconds: float) -> bool:
            pauses.append(seconds)
            if len(pauses) == 2:
                service.path.rename(tmp_path / "away")
            return len(pauses) == 5

    said: list[str] = []
    fetch.keep(place, target, Stop(), lambda problem: said.append(problem.message))  # type: ignore[arg-type]
    assert claims(target.read_text())[1]["sun"] == "alice"
    assert [290 < pause <= 300 for pause in pauses[:2]] == [True, True]
    assert pauses[2:] == [1.0, 2.0, 5.0]
    assert len(said) == 1
    assert "does not answer" in said[0]
    assert not list(tmp_path.glob(".token.*"))


def test_keys_by_hand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = ["--keys", str(tmp_path / "k")]
    assert main(["key", "list", *folder]) == errors.CANNOT
    assert [main(["key", "add", *folder]) for _ in range(2)] == [0, 0]
    new = capsys.readouterr().out.split()[1]
    assert main(["key", "use", *folder, new]) == 0
    assert main(["key", "list", *folder]) == 0
    old, signs = capsys.readouterr().out.splitlines()
    assert (old.split()[1], signs) == ("valid", f"{new} signs")
    assert main(["key", "list", "--json", *folder]) == 0
    told = json.loads(capsys.readouterr().out)["keys"]
    assert [(key["kid"], key["signs"], bool(key["retired"])) for key in told] == [
        (old.split()[0], False, True),
        (new, True, False),
    ]
    assert main(["key", "drop", *folder, old.split()[0]]) == errors.CANNOT
    assert main(["key", "drop", "--force", *folder, old.split()[0]]) == 0


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["serve"],
        ["serve", "--lifespan", "59", "--socket", "x"],
        ["serve", "--lifespan", "3601", "--socket", "x"],
        ["serve", "--socket", "x", "--socket-mode", "777"],
        ["serve", "--listen", "127.0.0.1"],
        ["serve", "--listen", "127.0.0.1:0"],
        ["serve", "--hub", "https://hub/hub/api", "--socket", "x"],
        ["serve", "--listen", "0.0.0.0:0", "--hub", "https://hub/hub/api"],
        ["serve", "--listen", "127.0.0.1:0", "--kubernetes", "https://k"],
        ["get", "unix:/x"],
        ["key", "forget"],
    ],
)
def test_wrong_usage_is_two(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keys = ["--keys", str(tmp_path / "k")] if words[:1] == ["serve"] else []
    assert main([*words, *keys]) == errors.USAGE
    assert capsys.readouterr().err.startswith("error: ")


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["serve", "--listen", "127.0.0.1:0", "--hub", "http://hub/hub/api"], errors.CANNOT, "without TLS"),
        (["serve", "--listen", "127.0.0.1:0", "--hub", "ftp://hub"], errors.CANNOT, "no address of the Hub"),
        (["serve", "--socket", "/nonexistent/socket"], errors.CANNOT, "cannot listen at"),
        (["serve", "--socket", "x", "--audit", "/nonexistent/log"], errors.CANNOT, "audit log"),
        (["get", "unix:/nonexistent", "-o", "x"], errors.NO_SERVICE, "does not answer"),
        (["get", "ftp://x", "-o", "x"], errors.CANNOT, "no address of slurm-token"),
        (
            ["get", "https://x/v1/token/hub", "--bearer", "/nonexistent", "-o", "x"],
            errors.CANNOT,
            "cannot be read",
        ),
    ],
)
def test_what_it_cannot_do_is_said_in_one_sentence(
    words: list[str], status: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = ["--keys", str(tmp_path / "k")] if words[0] == "serve" else []
    assert main([*words, *keys]) == status
    first = capsys.readouterr().err.splitlines()[0]
    assert first.startswith("error: ")
    assert said in first


def test_a_token_that_cannot_be_written_is_said(service: Running, tmp_path: Path) -> None:
    with pytest.raises(errors.TokenError, match="cannot be written"):
        fetch.write(tmp_path / "nowhere" / "token", "secret")
    with pytest.raises(errors.TokenError) as caught:
        fetch.write(Path("/proc/token"), "secret")
    assert "secret" not in str(caught.value)


def test_help_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "for its own account only" in capsys.readouterr().out


def certificate(folder: Path) -> tuple[str, str]:
    """A certificate for loopback that certifies itself."""
    cert, key = str(folder / "cert.pem"), str(folder / "key.pem")
    words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=loopback"]
    more = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert]
    subprocess.run(["openssl", *words, *more], capture_output=True, check=True)
    return cert, key


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_over_tls_the_hub_is_asked_and_a_stranger_to_the_machine_refused(
    program: Path, tmp_path: Path, api: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """The Hub's user is none of this machine's, which is said; without the authority nothing is sent."""
    cert, key = certificate(tmp_path)
    port, log, bearer = free_port(), tmp_path / "log", tmp_path / "bearer"
    bearer.write_text("hub-token-of-a-stranger")
    hub = ("--hub", f"http://127.0.0.1:{api}/hub/api", "--plain-http")
    listen = ("--listen", f"127.0.0.1:{port}", "--tls", cert, key, "--audit", str(log))
    with serving(program, tmp_path, *listen, *hub) as process:
        until(log, process, text="ready")
        url = f"https://127.0.0.1:{port}/v1/token/hub"
        get = ["get", url, "--bearer", str(bearer), "-o", str(tmp_path / "token")]
        assert main([*get, "--ca", cert]) == errors.REFUSED
        assert "slurmctld's machine has no account of this name" in capsys.readouterr().err
        assert main(get) == errors.NO_SERVICE
        assert "certificate verify failed" in capsys.readouterr().err
        with socket.create_connection(("127.0.0.1", port), timeout=20) as plain:
            plain.sendall(b"POST /v1/token/hub HTTP/1.1\r\nAuthorization: Bearer hub-token-of-alice\r\n\r\n")
            with suppress(ConnectionResetError):
                assert b"HTTP/" not in plain.recv(4096)
        assert "hub-token" not in log.read_text()
    assert not (tmp_path / "token").exists()
