"""The environment is judged before anything starts, in one sentence; a token is judged at each use."""

from __future__ import annotations

import base64
import json
import os
import stat
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from lab.slurm_jupyter import cli, commands, keepers, start, token, visit
from lab.slurm_jupyter.places import Places
from lab.slurm_jupyter.settings import Page, Settings, SettingsError, check_home, read

GOOD = {"SLURM_USER": "alice:1001:1001", "SLURM_CONTROLLER": "ctl", "SLURM_JWT": "x", "HOME": "/home/alice"}

HUB = {
    "JUPYTERHUB_API_TOKEN": "hub-token",
    "JUPYTERHUB_SERVICE_URL": "http://0.0.0.0:8899/user/alice/",
    "JUPYTERHUB_SERVICE_PREFIX": "/user/alice/",
}
"""What a Hub tells a server that it starts."""


def made(text: str = "alice", ends: float = 600, **more: object) -> str:
    claims = {"iat": 1, "exp": int(time.time() + ends), "sun": text, **more}
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({}, claims)
    ]
    return ".".join([*parts, "secret-signature"])


@pytest.fixture
def places(tmp_path: Path) -> Places:
    found = Places(tmp_path / "jupyter")
    found.folder.mkdir(mode=0o700)
    return found


def settings(places: Places, **changed: str) -> Settings:
    return read({**GOOD, **changed}, 1001, 1001, places)


def test_what_is_needed_is_little(places: Places) -> None:
    found = settings(places)
    assert (found.user.name, found.token_file, found.page) == ("alice", places.token, Page("127.0.0.1", 8888))
    assert settings(places, SLURM_JWT_FILE="/run/t").token_file == Path("/run/t")
    assert settings(places, MUNGE_KEY_FILE="/k").token_file is None
    assert read({**GOOD, "SLURM_USER": "alice"}, 7, 8, places).user.uid == 7
    assert read(GOOD, 0, 0, places).home == Path("/home/alice")


@pytest.mark.parametrize(
    ("changed", "uid", "said"),
    [
        ({"SLURM_USER": ""}, 1001, "SLURM_USER does not name"),
        ({"SLURM_USER": "a b:1:1"}, 1001, "SLURM_USER does not name"),
        ({"SLURM_USER": "alice:x:1"}, 1001, "no two numbers"),
        ({"SLURM_USER": "alice:1"}, 1001, "no two numbers"),
        ({"SLURM_USER": "root:0:0"}, 0, "never runs as root"),
        ({"SLURM_USER": "alice"}, 0, "never runs as root"),
        ({"SLURM_USER": "alice:1001:0"}, 1001, "never runs as root"),
        ({"SLURM_USER": "alice:1002:1002"}, 1001, "runs as 1001, and SLURM_USER says 1002"),
        ({"SLURM_CONTROLLER": ""}, 1001, "no controller in SLURM_CONTROLLER"),
        ({"SLURM_CONTROLLER": "a; id"}, 1001, "no list of hosts"),
        ({"SLURM_CONTROLLER": "ctl,-o"}, 1001, "no list of hosts"),
        ({"SLURM_JWT": ""}, 1001, "no token"),
        ({"SLURM_JWT_FILE": "/a", "MUNGE_KEY_FILE": "/b"}, 1001, "MUNGE_KEY_FILE excludes"),
        ({**HUB, "JUPYTERHUB_SERVICE_URL": ""}, 1001, "no server can be at ''"),
        ({**HUB, "JUPYTERHUB_SERVICE_URL": "https://0.0.0.0:8888/user/alice/"}, 1001, "no server can be at"),
        ({**HUB, "JUPYTERHUB_SERVICE_URL": "http://0.0.0.0:x/"}, 1001, "no server can be at"),
        ({**HUB, "JUPYTERHUB_SERVICE_PREFIX": "/"}, 1001, "no server can be at"),
        ({"JUPYTER_TOKEN": "short"}, 1001, "less than 16 characters"),
        ({"JUPYTER_PORT": "0"}, 1001, "JUPYTER_PORT"),
        ({"JUPYTER_PORT": "65536"}, 1001, "JUPYTER_PORT"),
        ({"SLURM_REFRESH": "-1"}, 1001, "SLURM_REFRESH"),
    ],
)
def test_what_cannot_work_is_said_in_one_sentence(
    changed: dict[str, str], uid: int, said: str, places: Places
) -> None:
    with pytest.raises(SettingsError) as caught:
        read({**GOOD, **changed}, uid, uid, places)
    assert said in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.hint


def test_a_home_that_takes_no_files_is_said() -> None:
    with pytest.raises(SettingsError, match="home folder /proc/1/none cannot be written"):
        check_home(Path("/proc/1/none"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (made(), ""),
        ("SLURM_JWT=" + made() + "\n", ""),
        (made(ends=-5), "your Slurm token expired at "),
        (made("bob"), "the Slurm token is bob's, and this notebook is alice's"),
        (made("bo\x1b[31mb"), "somebody else's"),
        ("", "holds no Slurm token: renew it"),
        ("a.b.c", "holds no Slurm token"),
        ("a." + "W" * 20000, "holds no Slurm token"),
        ("é", "cannot be read"),
    ],
    ids=["own", "named", "expired", "another's", "hostile name", "empty", "no JSON", "huge", "no token"],
)
def test_a_token_is_judged_and_never_shown(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "t"
    path.write_text(text)
    found = token.read(path, "alice")
    assert said in found.trouble
    assert bool(found.text) == (said == "")
    assert "secret-signature" not in repr(found) + found.trouble
    if said.startswith("your"):
        assert found.trouble.endswith("UTC: renew it")


def test_no_token_is_said(tmp_path: Path) -> None:
    assert token.read(tmp_path / "none", "alice").trouble.endswith("renew it")


def program(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def caller(places: Places, tmp_path: Path) -> commands.Caller:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/slurm.conf").touch()
    places.token.write_text(made())
    return commands.Caller("alice", 1001, places.token, places, tmp_path / "conf", tmp_path)


def test_each_command_reads_the_token_anew(caller: commands.Caller, tmp_path: Path) -> None:
    program(tmp_path, "squeue", 'printf "%s" "$SLURM_JWT"; printf "%s" "${SQUEUE_USERS-}"')
    first = commands.run(caller, {"SQUEUE_USERS": "bob"}, ["squeue"])
    assert first.out == caller.places.token.read_text()
    caller.places.token.write_text(made(jti="2"))
    assert commands.run(caller, {}, ["squeue"]).out == caller.places.token.read_text() != first.out
    caller.places.token.write_text(made(ends=-1))
    done = commands.run(caller, {}, ["squeue"])
    assert (done.status, done.out, "renew it" in done.err) == (1, "", True)


def test_what_is_known_to_be_wrong_is_said_before(caller: commands.Caller) -> None:
    caller.places.token.unlink()
    caller.places.trouble("token").write_text("slurm-token does not answer")
    assert "(slurm-token does not answer)" in commands.ready(caller).trouble
    caller.places.token.write_text(made())
    (caller.configuration / "slurm.conf").unlink()
    assert "wait some seconds" in commands.ready(caller).trouble
    caller.places.trouble("configuration").write_text("no controller answers")
    assert commands.ready(caller).trouble == "no controller answers"


def test_a_program_that_is_missing_is_said(caller: commands.Caller) -> None:
    assert commands.run(caller, {}, ["none"]).status == 127
    assert "cannot be started" in commands.become(caller, {}, ["none"])


def test_a_refused_word_of_the_page_is_a_sentence(places: Places, capsys: pytest.CaptureFixture[str]) -> None:
    environ = {"SLURM_JUPYTER_FOLDER": str(places.folder), "SLURM_JUPYTER_USER": "alice"}
    assert cli.main(["/x/panel/scontrol", "shutdown"], environ) == 2
    assert capsys.readouterr().err == "the page may not run scontrol shutdown\n"


def test_a_panel_that_asks_at_once_after_a_failure_is_braked(caller: commands.Caller) -> None:
    waited: list[float] = []
    commands.brake(caller, 1000.0, waited.append)
    assert waited == [], "the first failure is told at once"
    os.utime(caller.places.failed, (1000, 1000))
    for later in (1002.0, 1005.0, 999.0):
        commands.brake(caller, later, waited.append)
        os.utime(caller.places.failed, (1000, 1000))
    assert waited == [3.0]


def test_trouble_is_told_once_and_ends(places: Places) -> None:
    said: list[str] = []
    trouble = keepers.Trouble("token", places, said.append)
    for sentence in ("a", "a", "b"):
        trouble.set(sentence)
    assert places.trouble("token").read_text() == "b"
    trouble.clear()
    trouble.clear()
    assert said == ["error: a", "error: b", "token: all is well again"]
    assert not places.trouble("token").exists()


def test_slurm_token_that_is_away_is_told(places: Places) -> None:
    stop, said = threading.Event(), []

    def say(line: str) -> None:
        said.append(line)
        stop.set()

    keepers.keep_token(settings(places, SLURM_JWT="", SLURM_TOKEN_URL="unix:/none"), places, stop, say)
    assert said[0].startswith("error: slurm-token does not answer at unix:/none")
    assert places.trouble("token").exists()


def test_a_mounted_key_may_be_a_link(tmp_path: Path) -> None:
    """As Kubernetes mounts secrets: the name is a link to ..data, which is a link to a folder."""
    (tmp_path / "..2026").mkdir()
    (tmp_path / "..2026/munge.key").write_bytes(b"k" * 64)
    (tmp_path / "..data").symlink_to("..2026")
    (tmp_path / "munge.key").symlink_to("..data/munge.key")
    target = tmp_path / "own" / "munge.key"
    for _ in range(2):
        keepers.copy_key(tmp_path / "munge.key", target)
    assert (target.read_bytes(), stat.S_IMODE(target.stat().st_mode)) == (b"k" * 64, 0o400)


def test_an_address_works_once(places: Places) -> None:
    (places.folder / "address").write_text("127.0.0.1:8888")
    address = visit.new_address(places)
    code = address.partition("token=")[2]
    assert address.startswith("http://127.0.0.1:8888/lab?token=once-")
    assert [visit.use(places, code) for _ in range(2)] == [True, False]
    assert not visit.use(places, "../address")
    assert not visit.use(places, "once-" + "0" * 32)
    assert (places.folder / "address").exists()


def test_a_hubs_server_is_where_the_hub_says_and_asks_with_its_token(places: Places) -> None:
    found = settings(
        places, **HUB, JUPYTER_PORT="1", SLURM_JWT_FILE="/first", SLURM_TOKEN_URL="http://t/v1/token/hub"
    )
    assert found.page == Page("0.0.0.0", 8899, "/user/alice")  # noqa: S104 - compared
    assert (found.token_bearer, found.token_file, found.first_token) == (
        places.api_token, places.token, Path("/first"),
    )  # fmt: skip
    assert settings(places, SLURM_TOKEN_URL="unix:/s").token_bearer is None
    places.address.write_text("127.0.0.1:8899/user/alice")
    assert visit.new_address(places) == "sign in at the Hub: this is its server /user/alice"


@pytest.mark.parametrize("whose", ["alice", "bob"])
def test_the_token_that_a_hub_hands_in_counts_until_the_first_of_its_own(
    places: Places, tmp_path: Path, whose: str
) -> None:
    first = tmp_path / "first"
    first.write_text(made(whose))
    environ = {**GOOD, **HUB, "SLURM_JWT": "", "SLURM_JWT_FILE": str(first), "SLURM_TOKEN_URL": "unix:/none"}
    start._prepare(read(environ, 1001, 1001, places), places, environ)
    assert places.api_token.read_text() == "hub-token"
    assert places.address.read_text() == "127.0.0.1:8899/user/alice"
    assert bool(token.read(places.token, "alice").text) == (whose == "alice")


def test_health_of_a_hubs_server_asks_nothing_that_needs_the_hub(places: Places) -> None:
    class Api(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/user/alice/api" else 403)
            self.end_headers()
            self.wfile.write(b'{"version": "2.21.1"}')

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            pass

    with HTTPServer(("127.0.0.1", 0), Api) as server:
        answering = threading.Thread(target=server.serve_forever, args=(0.02,))
        answering.start()
        places.api_token.write_text("t")
        told = []
        for prefix in ("/user/alice", "/user/bob"):
            places.address.write_text(f"127.0.0.1:{server.server_address[1]}{prefix}")
            told.append(visit.health(places))
        server.shutdown()
        answering.join()
    assert told[0] == (0, "the page answers; Slurm's configuration is not here yet")
    assert told[1] == (1, "the page's server answers 403")


def test_health_says_when_nothing_answers(places: Places) -> None:
    assert visit.health(places)[0] == 1
    (places.folder / "address").write_text("127.0.0.1:1")
    places.api_token.write_text("t")
    status, told = visit.health(places)
    assert (status, "does not answer" in told) == (1, True)


@pytest.mark.parametrize(
    ("controller", "image", "said"),
    [
        ("24.11", "trixie", ""),
        ("26.05", "trixie", ""),
        ("24.11", "forky", "24.11, and this image of 26.05: take slurm-jupyter-trixie"),
        ("23.11", "trixie", "another Slurm release: 23.11, and this image of 24.11"),
        ("", "forky", ""),
        ("24.11", "", ""),
    ],
)
def test_only_newer_controllers_serve(controller: str, image: str, said: str) -> None:
    told = keepers.too_old(controller, image)
    assert told.endswith(said)
    assert bool(told) == bool(said)


def test_a_controller_that_is_too_old_is_said_before_slurm_says_something_else(
    caller: commands.Caller,
) -> None:
    caller.places.trouble("release").write_text("the controller is of another Slurm release")
    assert commands.ready(caller).trouble == "the controller is of another Slurm release"
