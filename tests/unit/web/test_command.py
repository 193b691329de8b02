"""`lab web` on the command line, and where xterm.js comes from."""

from __future__ import annotations

import ast
import base64
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from lab.backends.fake import FakeBackend
from lab.cli.app import App
from lab.cli.main import main
from lab.errors import LabError
from lab.nodes.accounts import USERS
from lab.paths import PACKAGE
from lab.polling import Limit, wait_for
from lab.web import browser_parts
from lab.web.browser_parts import Package
from lab.web.server import Page
from lab.web.signin import SESSIONS, Sessions
from tests.unit.web.conftest import Browser, number_of

SERVE = """
import sys
from pathlib import Path
from lab.backends.actions import Action, Verb
from lab.backends.fake import FakeBackend
from lab.cli.app import App
from lab.cli.main import main
from tests.unit.checks_world import small_spec
root = Path(sys.argv[1])
backend, spec = FakeBackend(root / "nodes"), small_spec()
backend.apply(spec, [Action(Verb.CREATE, tuple(node.name for node in spec.nodes))], lambda _: None)
main(["web", "--json"], obj=App({"HOME": str(root)}, root, open_backend=lambda _: backend, argv=["web"]))
"""


class Somewhere:
    """A page that another process serves."""

    def __init__(self, address: str) -> None:
        self.origin = address.partition("/in/")[0]
        self.port = int(self.origin.rpartition(":")[2])


def run(app: App, *args: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["web", *args], obj=app)
    return result.exit_code, result.output


def put_xterm(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "xterm.js").write_text("onWriteParsed")
    (folder / "xterm.css").write_text("")


@pytest.fixture
def app(tmp_path: Path, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch) -> App:
    monkeypatch.setattr(browser_parts, "DEBIAN", tmp_path / "debian")
    monkeypatch.setattr(browser_parts.find, "__defaults__", (tmp_path / "debian",))
    return App({"HOME": str(tmp_path)}, tmp_path, open_backend=lambda _: backend)


def test_without_the_extra_one_command_is_named(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    code, told = run(app)
    assert code == 3
    assert "uvicorn is not installed" in told
    assert f"-m pip install --require-hashes -r {PACKAGE.parent / 'requirements' / 'class.txt'}" in told


def test_without_xterm_one_command_is_named(app: App) -> None:
    code, told = run(app)
    assert (code, "hint: lab web --fetch" in told) == (3, True)


def test_an_old_xterm_is_none(app: App, tmp_path: Path) -> None:
    put_xterm(tmp_path / "debian")
    (tmp_path / "debian" / "xterm.js").write_text("3.8.1")
    assert "hint: lab web --fetch" in run(app)[1]


def test_without_a_lab_there_is_no_page(app: App, tmp_path: Path) -> None:
    put_xterm(tmp_path / "debian")
    code, told = run(app)
    assert (code, "there is no lab called lab" in told) == (2, True)


def test_a_port_that_is_taken_is_told(page: Page, tmp_path: Path) -> None:
    with pytest.raises(LabError, match="cannot listen on"):
        Page(page._lab, page._files, page.port)  # type: ignore[arg-type]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`lab web` in a process of its own, and the address that it printed."""
    put_xterm(tmp_path / ".cache" / "rackling" / "web" / f"xterm-{browser_parts.XTERM.version}")
    command = [sys.executable, "-c", SERVE, str(tmp_path)]
    with subprocess.Popen(
        command, cwd=PACKAGE.parent, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        told = ""
        while "}" not in told:
            told += process.stdout.readline() or pytest.fail(str(process.communicate()))
        try:
            yield process, json.loads(told)["address"]
        finally:
            process.kill()
            process.communicate()


def test_it_serves_in_the_foreground_until_ctrl_c_and_logs_nothing(
    served: tuple[subprocess.Popen[str], str],
) -> None:
    process, address = served
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor()
    )
    with opener.open(address, timeout=20) as page:
        assert b"/app.js" in page.read()
    process.send_signal(signal.SIGINT)
    rest, flaws = process.communicate(timeout=20)
    assert process.returncode == 130
    assert rest == ""
    assert flaws.strip() == "interrupted: the page and its shells are closed; the lab stays as it is"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_whatever_ends_it_ends_its_shells(
    served: tuple[subprocess.Popen[str], str], number: signal.Signals
) -> None:
    process, address = served
    browser = Browser(Somewhere(address)).sign_in(address)  # type: ignore[arg-type]
    with browser.socket(f"/terminals/{browser.open_terminal()}") as shell:
        shell_number = number_of(shell)
        os.kill(shell_number, 0)
        process.send_signal(number)
        process.wait(20)
    assert wait_for(lambda: not Path(f"/proc/{shell_number}").exists(), Limit(20.0))


def archive(**files: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name.replace("__", "/").replace("_", "."))
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


def fake_npm(folder: Path, data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "bin").mkdir()
    (folder / "data").write_bytes(data)
    npm = folder / "bin" / "npm"
    options = "pack --silent --ignore-scripts --pack-destination="
    then = f'cp {folder}/data "${{4#*=}}/xterm.tgz"\necho "$5" >{folder}/asked'
    npm.write_text(f'#!/bin/sh\n[ "$1 $2 $3 ${{4%%=*}}=" = "{options}" ] || exit 9\n{then}\n')
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")


def test_npm_fetches_xterm_by_version_and_hash(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = archive(package__lib__xterm_js="onWriteParsed", package__css__xterm_css="", package__LICENSE="MIT")
    fake_npm(tmp_path, data, monkeypatch)
    code, told = run(app, "--fetch")
    assert code == 3
    assert "@xterm/xterm 6.0.0 is not the one that we know" in told
    assert not (tmp_path / ".cache" / "rackling" / "web").exists()
    known = f"sha512-{base64.b64encode(hashlib.sha512(data).digest()).decode()}"
    monkeypatch.setattr(browser_parts, "XTERM", Package("@xterm/xterm", "6.0.0", known))
    (tmp_path / ".cache" / "rackling" / "web" / "xterm-6.0.0").mkdir(parents=True)  # a fetch was interrupted
    assert run(app, "--fetch")[0] == 0
    assert (tmp_path / "asked").read_text() == "@xterm/xterm@6.0.0\n"
    folder = tmp_path / ".cache" / "rackling" / "web" / "xterm-6.0.0"
    assert sorted(path.name for path in folder.iterdir()) == ["LICENSE", "xterm.css", "xterm.js"]


def test_who_has_no_npm_is_told_what_to_install(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    code, told = run(app, "--fetch")
    assert (code, "apt-get install npm" in told) == (3, True)


def test_sessions_are_bounded() -> None:
    sessions = Sessions()
    cookies = [sessions.open(sessions.new_code()) or "" for _ in range(SESSIONS + 1)]
    assert sessions.find(cookies[0]) is None
    assert all(sessions.find(cookie) for cookie in cookies[1:])


def test_the_accounts_are_those_that_the_head_node_makes() -> None:
    tree = ast.parse((PACKAGE / "guest" / "setup" / "identity.py").read_text())
    values = {ast.unparse(node.targets[0]): node.value for node in tree.body if isinstance(node, ast.Assign)}
    assert (*ast.literal_eval(values["USERS"]), "root") == USERS
