"""`lab portal`: what it asks of the engine, what it prints, and what it refuses before anything is made."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lab.account import account_name
from lab.backends.docker.portal import Portal, check_name
from lab.backends.fake import FakeBackend
from lab.cli.app import App
from lab.cli.main import main
from lab.errors import Exit, UsageError

ADDRESS = "http://127.0.0.1:32768/lab?token=once-0"
MINE = Portal("portal", "trixie", account_name(), "2026-01-01T00:00:00Z", 32768, "ready", "the page answers")


class Engine:
    """Stands for the portals of an engine."""

    def __init__(self) -> None:
        self.portals: dict[str, Portal] = {}
        self.calls: list[tuple[str, ...]] = []

    def every(self) -> tuple[Portal, ...]:
        return tuple(self.portals.values())

    def find(self, name: str) -> Portal | None:
        return self.portals.get(name)

    def up(self, name: str, release: str, port: int, say: Callable[[str], None]) -> None:
        self.calls.append(("up", name, release, str(port)))
        self.portals[name] = replace(MINE, name=name, release=release, port=port or 32768)

    def address(self, name: str) -> str:
        assert name in self.portals
        return ADDRESS

    def down(self, name: str) -> None:
        self.calls.append(("down", name))
        del self.portals[name]


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    made = Engine()

    def built(app: App, mode: str, names: tuple[str, ...]) -> None:
        made.calls.append(("build", *names))

    monkeypatch.setattr("lab.backends.docker.portal.Portals", lambda: made)
    monkeypatch.setattr("lab.cli.images.bring_up_to_date", built)
    return made


@pytest.fixture
def lab(engine: Engine, tmp_path: Path) -> Callable[..., Result]:
    def run(*words: str) -> Result:
        backend = FakeBackend(tmp_path / "machines")
        app = App({"HOME": str(tmp_path)}, tmp_path, open_backend=lambda _: backend, argv=[*words])
        return CliRunner().invoke(main, ["portal", *words], obj=app)

    return run


def test_up_prints_an_address_and_nothing_else(lab: Callable[..., Result], engine: Engine) -> None:
    done = lab("up")
    assert (done.exit_code, done.stdout) == (0, f"{ADDRESS}\n")
    assert engine.calls == [
        ("build", "slurm-single-node-trixie", "slurm-jupyter-trixie"),
        ("up", "portal", "trixie", "0"),
    ]
    told = json.loads(lab("up", "--json").stdout)
    assert told == {"schema": 1, "portal": "portal", "release": "trixie", "address": ADDRESS}


def test_two_stand_side_by_side_and_each_goes_alone(lab: Callable[..., Result], engine: Engine) -> None:
    assert lab("up").exit_code == lab("up", "two", "--release", "forky", "--port", "8899").exit_code == 0
    assert engine.calls[-1] == ("up", "two", "forky", "8899")
    assert [one["name"] for one in json.loads(lab("status", "--json").stdout)["portals"]] == ["portal", "two"]
    assert lab("down", "two", "-y").stdout == "removed portal two\n"
    assert [*engine.portals] == ["portal"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("up", "--release", "forky"), "portal portal is of trixie"),
        (("up", "--port", "9999"), "portal portal has port 32768"),
        (("up", "a b"), "a portal cannot be called 'a b'"),
        (("down", "../x", "-y"), "a portal cannot be called '../x'"),
        (("up", "--port", "80"), "80 is not in the range"),
        (("up", "--release", "bookworm"), "'bookworm' is not one of"),
        (("down",), "to confirm, repeat the command with --yes"),
    ],
)
def test_what_is_refused_changes_nothing(
    lab: Callable[..., Result], engine: Engine, words: tuple[str, ...], said: str
) -> None:
    lab("up")
    engine.calls.clear()
    done = lab(*words)
    assert (done.exit_code, said in done.stderr) == (Exit.USAGE, True), done.stderr
    assert engine.calls == []


def test_anothers_portal_is_not_removed_unasked(lab: Callable[..., Result], engine: Engine) -> None:
    engine.portals["portal"] = replace(MINE, owner="somebody")
    for words in (("up",), ("down",)):
        done = lab(*words)
        assert (done.exit_code, "belongs to somebody" in done.stderr) == (Exit.USAGE, True)
    assert engine.calls == []


def test_nothing_to_show_and_nothing_to_remove(lab: Callable[..., Result]) -> None:
    assert "lab portal up creates one" in lab("status").stderr
    assert json.loads(lab("status", "--json").stdout)["portals"] == []
    done = lab("down", "-y")
    assert (done.exit_code, "there is no portal called portal" in done.stderr) == (0, True)


@pytest.mark.parametrize("name", ["", "A", "-a", "1a", "a_b", "a" * 22, "a;b", "a\n"])
def test_names_that_no_portal_may_have(name: str) -> None:
    with pytest.raises(UsageError):
        check_name(name)
