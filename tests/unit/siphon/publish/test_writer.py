"""The writer on real directories: what it writes, what it never touches, and what a kill leaves behind."""

from __future__ import annotations

import ctypes  # noqa: F401 - exchange.py imports it late, when a child without rights may not read root's Python
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.siphon import errors
from lab.siphon.errors import SiphonError
from lab.siphon.protocol.messages import ConfigFile
from lab.siphon.publish import exchange, writer
from lab.siphon.publish import settings as publish_settings
from lab.siphon.publish.names import Wanted, wanted_files
from lab.siphon.publish.settings import PublishOptions
from tests.unit.siphon.publish.test_names import ASTRAY

OPTIONS = PublishOptions(patience=0.2)

ROOT = os.geteuid() == 0
USER = 65534


def wanted(**files: str) -> tuple[Wanted, ...]:
    return tuple(
        Wanted(name.replace("__", "/").replace("_", "."), text.encode(), execute=name.endswith("_sh"))
        for name, text in sorted(files.items())
    )


OLD = wanted(slurm_conf="old\n", nodes_conf="same\n", gone_conf="gone\n", sub__p_sh="#!old\n")

NEW = wanted(slurm_conf="new\n", nodes_conf="same\n", more_conf="more\n", sub__q_sh="#!new\n")


def seen(place: Path) -> dict[str, bytes]:
    """What a reader finds: every name that opens, by following links."""
    found = {}
    for path in sorted(place.rglob("*")):
        inside = path.relative_to(place)
        if not any(part.startswith(".siphon") for part in inside.parts) and path.is_file():
            found[str(inside)] = path.read_bytes()
    return found


def contents(files: tuple[Wanted, ...]) -> dict[str, bytes]:
    return {file.path: file.content for file in files}


@pytest.fixture(params=["whole", "links"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A target that is replaced whole, and one that needs links: it holds a folder of somebody else."""
    found = tmp_path / "conf"
    if request.param == "links":
        (found / "foreign").mkdir(parents=True)
        (found / "foreign" / "keep").write_text("keep")
    return found


def leftovers(place: Path) -> list[str]:
    """Names that a finished siphon leaves nowhere."""
    beside = [path.name for path in place.parent.iterdir() if path != place and "siphon" in path.name]
    hidden = place / ".siphon"
    generations = [p.name for p in hidden.iterdir() if p.name != "current"] if hidden.exists() else ["x"]
    dangling = [p.name for p in place.rglob("*") if p.is_symlink() and not p.exists()]
    return beside + generations[1:] + dangling


def foreign(place: Path) -> dict[str, bytes]:
    return {"foreign/keep": b"keep"} if (place / "foreign").exists() else {}


def test_a_new_directory_holds_the_files(place: Path) -> None:
    plan = writer.write(str(place), OLD, OPTIONS)
    assert seen(place) == {**contents(OLD), **foreign(place)}
    assert plan.written == tuple(file.path for file in OLD)
    assert stat.S_IMODE((place / "slurm.conf").stat().st_mode) == 0o644
    assert stat.S_IMODE((place / "sub/p.sh").stat().st_mode) == 0o755
    assert stat.S_IMODE((place / "sub").stat().st_mode) == 0o755
    assert leftovers(place) == []


def test_modes_do_not_depend_on_the_umask(place: Path) -> None:
    before = os.umask(0o077)
    try:
        writer.write(str(place), OLD, OPTIONS)
    finally:
        os.umask(before)
    assert stat.S_IMODE((place / "sub/p.sh").stat().st_mode) == 0o755
    assert stat.S_IMODE((place / "nodes.conf").stat().st_mode) == 0o644


def test_a_change_replaces_adds_and_removes(place: Path) -> None:
    writer.write(str(place), OLD, OPTIONS)
    before = (place / "nodes.conf").stat()
    plan = writer.write(str(place), NEW, OPTIONS)
    assert seen(place) == {**contents(NEW), **foreign(place)}
    assert plan.written == ("more.conf", "slurm.conf", "sub/q.sh")
    assert plan.removed == ("gone.conf", "sub/p.sh")
    assert plan.unchanged == ("nodes.conf",)
    after = (place / "nodes.conf").stat()
    assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)
    assert leftovers(place) == []


def test_what_is_the_same_is_not_touched(place: Path) -> None:
    writer.write(str(place), OLD, OPTIONS)
    before = {path: path.lstat() for path in place.rglob("*")}
    plan = writer.write(str(place), OLD, OPTIONS)
    assert not plan.needed()
    for path, found in before.items():
        assert (path.lstat().st_mtime_ns, path.lstat().st_ino) == (found.st_mtime_ns, found.st_ino)


def test_only_siphons_own_files_are_removed(place: Path) -> None:
    place.mkdir(exist_ok=True)
    (place / "mine.conf").write_text("mine")
    inode = (place / "mine.conf").stat().st_ino
    writer.write(str(place), OLD, OPTIONS)
    (place / "sub" / "mine.sh").write_text("mine")
    writer.write(str(place), (), OPTIONS)
    assert seen(place) == {"mine.conf": b"mine", "sub/mine.sh": b"mine", **foreign(place)}
    assert (place / "mine.conf").stat().st_ino == inode


def test_files_put_there_by_hand_are_taken_over(place: Path) -> None:
    place.mkdir(exist_ok=True)
    (place / "slurm.conf").write_text("by hand")
    (place / "nodes.conf").write_text("same\n")
    writer.write(str(place), OLD, OPTIONS)
    assert seen(place) == {**contents(OLD), **foreign(place)}
    writer.write(str(place), (), OPTIONS)
    assert seen(place) == foreign(place)


def test_a_stricter_mode_stays(place: Path) -> None:
    writer.write(str(place), OLD, OPTIONS)
    (place / "slurm.conf").chmod(0o600)
    (place / "nodes.conf").chmod(0o666)
    (place / "sub/p.sh").chmod(0o700)
    changed = (Wanted("sub/p.sh", b"#!again\n", execute=True), *(f for f in NEW if f.path != "sub/q.sh"))
    writer.write(str(place), changed, OPTIONS)
    modes = {name: stat.S_IMODE((place / name).stat().st_mode) for name in contents(changed)}
    assert modes == {"slurm.conf": 0o600, "nodes.conf": 0o644, "more.conf": 0o644, "sub/p.sh": 0o700}


def test_private_modes(place: Path) -> None:
    writer.write(str(place), OLD, PublishOptions(modes=publish_settings.PRIVATE))
    assert stat.S_IMODE((place / "slurm.conf").stat().st_mode) == 0o640
    assert stat.S_IMODE((place / "sub/p.sh").stat().st_mode) == 0o750


def test_a_link_in_the_way_is_replaced_and_not_followed(place: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("outside")
    place.mkdir(exist_ok=True)
    (place / "slurm.conf").symlink_to(outside)
    writer.write(str(place), OLD, OPTIONS)
    assert outside.read_text() == "outside"
    assert (place / "slurm.conf").read_text() == "old\n"


def test_a_folder_that_is_a_link_is_refused(place: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    place.mkdir(exist_ok=True)
    (place / "sub").symlink_to(outside)
    with pytest.raises(SiphonError) as caught:
        writer.write(str(place), OLD, OPTIONS)
    assert caught.value.kind is errors.WRITE
    assert list(outside.iterdir()) == []
    assert "slurm.conf" not in seen(place)


def test_a_folder_in_the_way_is_one_clear_error(place: Path) -> None:
    (place / "slurm.conf").mkdir(parents=True)
    with pytest.raises(SiphonError, match=r"slurm\.conf is a directory") as caught:
        writer.write(str(place), OLD, OPTIONS)
    assert caught.value.kind is errors.WRITE


def test_a_target_that_is_a_file_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "conf").write_text("x")
    with pytest.raises(SiphonError) as caught:
        writer.write(str(tmp_path / "conf"), OLD, OPTIONS)
    assert caught.value.kind is errors.WRITE


def test_a_target_reached_by_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "conf").symlink_to("real")
    writer.write(str(tmp_path / "conf"), OLD, OPTIONS)
    assert (tmp_path / "conf").is_symlink()
    assert seen(tmp_path / "real") == contents(OLD)


def test_the_working_directory_is_not_replaced_under_its_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    inode = tmp_path.stat().st_ino
    writer.write(".", OLD, OPTIONS)
    writer.write(".", NEW, OPTIONS)
    assert tmp_path.stat().st_ino == inode
    assert seen(tmp_path) == contents(NEW)


def test_a_directory_that_cannot_be_exchanged_gets_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "conf"
    writer.write(str(place), OLD, OPTIONS)
    assert not (place / "slurm.conf").is_symlink()

    def refuse(*_: object) -> None:
        raise exchange.CannotExchange

    monkeypatch.setattr(exchange, "_exchange_names", refuse)
    writer.write(str(place), NEW, OPTIONS)
    assert (place / "slurm.conf").is_symlink()
    assert seen(place) == contents(NEW)
    assert leftovers(place) == []


def test_one_siphon_waits_for_another(place: Path) -> None:
    import fcntl

    writer.write(str(place), OLD, OPTIONS)
    links = (place / ".siphon").exists()
    held = place / ".siphon" if links else place.parent / ".conf.siphon"
    held.mkdir(exist_ok=True)
    fd = os.open(held, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        with pytest.raises(SiphonError, match="another siphon") as caught:
            writer.write(str(place), NEW, PublishOptions(patience=0.1))
        assert caught.value.kind is errors.LOCKED
    finally:
        os.close(fd)
    assert contents(OLD).items() <= seen(place).items()
    writer.write(str(place), NEW, OPTIONS)
    assert seen(place) == {**contents(NEW), **foreign(place)}


@pytest.mark.parametrize("number", [28, 122, 30, 5])
def test_a_failing_disk_leaves_the_old_files(
    place: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.write(str(place), OLD, OPTIONS)
    real = os.write
    calls = iter(range(100))

    def fail(fd: int, data: memoryview) -> int:
        if next(calls) == 1:
            raise OSError(number, os.strerror(number))
        return real(fd, data)

    monkeypatch.setattr(os, "write", fail)
    with pytest.raises(SiphonError) as caught:
        writer.write(str(place), NEW, OPTIONS)
    monkeypatch.undo()
    assert caught.value.kind is errors.WRITE
    assert os.strerror(number) in caught.value.evidence
    assert caught.value.hint
    assert seen(place) == {**contents(OLD), **foreign(place)}
    assert leftovers(place) == []


def in_child_as_user(place: Path, action: Callable[[], None]) -> str:
    """Runs an action in a child without root's rights; returns what it complains of."""
    reader, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            if ROOT:
                os.setgid(USER)
                os.setuid(USER)
            os.chdir(place)
            action()
        except BaseException as problem:  # noqa: BLE001 - told to the parent
            evidence = getattr(problem, "evidence", "")
            os.write(writing, f"{type(problem).__name__}: {problem} {evidence}".encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reader, "rb") as pipe:
        told = pipe.read().decode()
    os.waitpid(child, 0)
    return told


@pytest.fixture
def own() -> Iterator[Path]:
    """A folder of an ordinary user, to whom pytest's own are closed if root runs the tests."""
    with tempfile.TemporaryDirectory() as name:
        if ROOT:
            os.chown(name, USER, USER)
        yield Path(name)


def test_a_target_that_its_owner_may_not_write_is_replaced_and_stops_no_later_run(own: Path) -> None:
    place = own / "conf"

    def run() -> None:
        place.mkdir()
        (place / "foreign").write_text("keep")
        (place / "foreign").chmod(0o444)
        place.chmod(0o555)
        for wanted in (OLD, NEW):
            writer.write(str(place), wanted, OPTIONS)
            assert seen(place) == {**contents(wanted), "foreign": b"keep"}
            assert stat.S_IMODE(place.stat().st_mode) == 0o555
            assert leftovers(place) == []

    assert in_child_as_user(own, run) == ""


@pytest.mark.parametrize("mode", [0o555, 0o500, 0o700])
def test_what_a_killed_siphon_left_is_removed_whatever_its_mode(own: Path, mode: int) -> None:
    place = own / "conf"

    def run() -> None:
        inner = own / ".conf.siphon" / "sub"
        inner.mkdir(parents=True)
        (inner / "p.sh").write_text("old")
        inner.chmod(mode)
        inner.parent.chmod(mode)
        for wanted in (OLD, NEW):
            writer.write(str(place), wanted, OPTIONS)
            assert seen(place) == contents(wanted)
            assert leftovers(place) == []

    assert in_child_as_user(own, run) == ""


def test_a_leftover_that_cannot_be_removed_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "conf"
    writer.write(str(place), OLD, OPTIONS)
    stuck = tmp_path / ".conf.siphon"
    stuck.mkdir()
    (stuck / "stuck").write_text("")
    real = os.unlink

    def refuse(path: str, **more: int) -> None:
        if path == "stuck":
            raise PermissionError(1, "Operation not permitted", path)
        real(path, **more)

    monkeypatch.setattr(os, "unlink", refuse)
    for wanted in (NEW, OLD):
        writer.write(str(place), wanted, OPTIONS)
        assert seen(place) == contents(wanted)


@pytest.mark.parametrize("start", ["empty", "old"])
def test_a_replaced_folder_that_cannot_be_listed_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: str
) -> None:
    """A FUSE file system knows a removed folder no more, although it is open."""
    place = tmp_path / "conf"
    place.mkdir()
    if start == "old":
        writer.write(str(place), OLD, OPTIONS)
    listdir, fstat = os.listdir, os.fstat

    def gone(path: object) -> bool:
        return isinstance(path, int) and " (deleted)" in str(Path(f"/proc/self/fd/{path}").readlink())

    def on_fuse(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Any = ".") -> Any:
            if gone(path):
                raise FileNotFoundError(2, "No such file or directory")
            return real(path)

        return call

    monkeypatch.setattr(os, "listdir", on_fuse(listdir))
    monkeypatch.setattr(os, "fstat", on_fuse(fstat))
    writer.write(str(place), NEW, OPTIONS)
    monkeypatch.undo()
    assert seen(place) == contents(NEW)
    assert leftovers(place) == []


@pytest.mark.skipif(not ROOT, reason="only root can make a foreign owner")
def test_a_foreign_file_is_one_clear_error(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer.write(str(place), OLD, OPTIONS)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(SiphonError, match="belongs to another user") as caught:
        writer.write(str(place), NEW, OPTIONS)
    assert caught.value.kind is errors.WRITE


@pytest.mark.parametrize("start", ["ours", "by-hand", "missing"])
@pytest.mark.parametrize("kind", ["whole", "links"])
def test_a_kill_at_any_step_leaves_the_old_files_or_the_new(tmp_path: Path, kind: str, start: str) -> None:
    """In a process that imports little: a fork of this one is a hundred times slower."""
    command = [sys.executable, "-I", "-S", str(Path(__file__).with_name("killing.py")), kind, start]
    done = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    *problems, verdict = done.stdout.splitlines()
    assert problems == []
    assert verdict == "killed, found: new old"


def test_a_reader_sees_no_gap_while_files_change(place: Path) -> None:
    """Every look at a file that both sets have finds it.

    Who is on the way to a file in the old set while that is taken away does not: the way begins anew.
    """

    def read(name: str) -> bytes:
        try:
            return (place / name).read_bytes()
        except FileNotFoundError:
            return (place / name).read_bytes()

    writer.write(str(place), OLD, OPTIONS)
    child = os.fork()
    if child == 0:
        try:
            for turn in range(40):
                writer.write(str(place), NEW if turn % 2 else OLD, OPTIONS)
        finally:
            os._exit(0)
    looks = 0
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        assert read("nodes.conf") == b"same\n"
        assert read("slurm.conf") in (b"old\n", b"new\n")
        looks += 1
    assert looks > 10


NAMES = st.one_of(
    st.binary(min_size=1, max_size=12).filter(lambda name: b"\0" not in name),
    st.sampled_from([*ASTRAY, b"sub/../../out", b"link/out", b"slurm.conf", b"sub/p.sh", b"dir"]),
)

FILES = st.builds(
    ConfigFile,
    name=NAMES,
    exists=st.just(True),
    execute=st.booleans(),
    content=st.sampled_from([b"", b"x\n"]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(FILES, max_size=5))
def test_nothing_outside_the_target_ever_changes(files: list[ConfigFile]) -> None:
    with tempfile.TemporaryDirectory() as base:
        root = Path(base)
        outside = root / "outside"
        outside.mkdir()
        (outside / "file").write_text("untouched")
        place = root / "in" / "conf"
        (place / "dir").mkdir(parents=True)
        (place / "link").symlink_to(outside)
        kind = errors.OK
        try:
            found = wanted_files(tuple(files))
            writer.write(str(place), found, OPTIONS)
        except SiphonError as error:
            kind = error.kind
        else:
            assert {k: v for k, v in seen(place).items() if not k.startswith("link/")} == contents(found)
        assert kind in (errors.OK, errors.UNSAFE, errors.WRITE)
        assert {p.name for p in root.iterdir()} == {"outside", "in"}
        assert {p.name for p in (root / "in").iterdir()} == {"conf"}
        assert [p.name for p in outside.iterdir()] == ["file"]
        assert (outside / "file").read_text() == "untouched"
