"""Every command, while the system refuses: a home folder that is full or read-only, no standard output.

A refusal is one error: what failed, the evidence, the next command. It is never called a mistake of ours.
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pytest

from lab.backends.docker.portal import Portal
from lab.backends.fake import FakeBackend
from lab.cli.app import App
from lab.cli.main import SECTIONS, main
from lab.course.progress import ProgressFile
from lab.errors import Exit, LabError
from lab.host_speed import HostSpeed
from lab.images.pipeline import ImageRecord
from lab.lock import FileLocks
from lab.nodes.pty import PtyTransport
from lab.system_errors import system_error, writing
from lab.web.browser_parts import Parts
from lab.web.server import Page
from tests.unit.cli.test_exercises import Bench, bench  # noqa: F401 (a fixture)

ROOT = Path(__file__).resolve().parents[3]
# One line for each command; the lab is up, and the first exercise was started.
COURSE = {
    "exercises": ["exercises"],
    "start": ["start", "make_file", "-y"],
    "show": ["show", "make_file"],
    "check": ["check", "make_file"],
    "hint": ["hint", "make_file"],
    "solve": ["solve", "make_file"],
    "reset": ["reset", "make_file", "-y"],
    "next": ["next"],
    "progress": ["progress"],
}
LAB = {
    "setup": ["setup", "--no-proof", "-y"],
    "up": ["up", "-y"],
    "down": ["down", "-y"],
    "power": ["power", "cycle", "c1", "--no-wait"],
    "snapshot": ["snapshot", "mine"],
    "restore": ["restore", "kept", "-y"],
    "status": ["status"],
    "ls": ["ls"],
    "shell": ["shell", "c1", "--", "true"],
    "console": ["console", "c1"],
    "logs": ["logs", "c1"],
    "cp": ["cp", str(ROOT / "README.md"), "c1:/tmp/x"],
    "credentials": ["credentials"],
    "doctor": ["doctor"],
    "validate": ["validate"],
    "images": ["images", "ls"],
    "portal": ["portal", "status"],
    "web": ["web"],
    "completion": ["completion", "bash"],
}
SILENT = ("shell", "logs", "cp", "power", "restore", "console", "credentials")
"""Commands that have no result here: they print notes, become another program, or show what a node has."""


@dataclass
class Refusal:
    """What the system answers to whoever would write below a folder; nothing is refused without one."""

    folder: str = ""
    number: int = 0


REFUSAL = Refusal()


def refuse(event: str, args: tuple[Any, ...]) -> None:
    """Refuses as the kernel would; an audit hook sees every way to open a file."""
    if not REFUSAL.folder or event not in ("open", "os.mkdir", "os.rename", "os.truncate", "os.symlink"):
        return
    if not isinstance(args[0], (str, os.PathLike)) or not os.fspath(args[0]).startswith(REFUSAL.folder):
        return
    if event == "open" and not args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        return
    raise OSError(REFUSAL.number, os.strerror(REFUSAL.number), os.fspath(args[0]))


sys.addaudithook(refuse)


@pytest.fixture
def refusing() -> Iterator[Refusal]:
    yield REFUSAL
    REFUSAL.folder = ""


class Someone:
    """Somebody at a command line, whose standard output may lead anywhere."""

    def __init__(self, course: Bench, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self.folder = folder
        self.course = course
        self.backend = FakeBackend(folder / "machines")
        self.environ = {"HOME": str(folder / "home"), "XDG_RUNTIME_DIR": str(folder / "home" / "run")}
        self.out = folder / "out"
        self.err = folder / "err"

    def run(self, name: str, words: list[str], out: str = "") -> tuple[int, str]:
        """Runs a command; returns its exit status and what it wrote to standard error."""

        def become(argv: object) -> NoReturn:
            raise SystemExit(0)

        backend: Any = self.course.backend if name in COURSE else self.backend
        app = App(self.environ, self.folder, open_backend=lambda _: backend, replace=become, argv=words)
        mode = "r" if out == os.devnull else "w"  # as a closed standard output is opened: for reading only
        with Path(out or self.out).open(mode) as stdout, self.err.open("w") as stderr:
            writable = os.fdopen(os.dup(stdout.fileno()), "w")
            with self._monkeypatch.context() as patch:
                patch.setattr(sys, "stdout", writable)
                patch.setattr(sys, "stderr", stderr)
                patch.setattr(sys, "argv", ["lab", *words])
                with pytest.raises(SystemExit) as left:
                    main(words, obj=app)
            with suppress(OSError):  # what a command would have lost at its end
                writable.close()
        return int(left.value.code or 0), self.err.read_text()


@pytest.fixture
def someone(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Someone:  # noqa: F811
    class Images:
        def inventory(self, *, optional: bool = False) -> tuple[ImageRecord, ...]:
            return (ImageRecord("sms", "key", True, 7, "2026-01-01T00:00:00Z"),)

        def build(self, *_: object, **__: object) -> None:
            pass

    class Portals:
        def every(self) -> tuple[Portal, ...]:
            return (Portal("portal", "trixie", "", "2026-01-01T00:00:00Z", 1, "ready", ""),)

    monkeypatch.setattr("lab.images.provider.images_of", lambda _: Images())
    monkeypatch.setattr("lab.backends.docker.portal.Portals", Portals)
    monkeypatch.setattr("lab.web.browser_parts.find", lambda _: Parts(tmp_path, tmp_path))
    monkeypatch.setattr("lab.web.server.Page.serve", announce)
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere")  # whatever does look for an engine finds none
    (tmp_path / "lab.toml").write_text("lab = 'lab'\n")
    made = Someone(bench, tmp_path, monkeypatch)
    assert made.run("up", ["up", "--progress", "quiet"])[0] == 0
    assert made.run("snapshot", ["snapshot", "kept"])[0] == 0
    assert made.run("start", COURSE["start"])[0] == 0
    return made


def announce(page: Page, ready: Callable[[], None]) -> None:
    """Takes the place of serving a page: prints its address, and ends."""
    try:
        ready()
    finally:
        page.close()


def expect_one_error(status: int, told: str) -> None:
    assert status in (Exit.BROKEN, Exit.USAGE, Exit.UNKNOWN), told
    errors = [line for line in told.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, told
    assert "\n  " in told, told
    assert "\nhint: " in told, told


def expect_no_mistake_of_ours(told: str) -> None:
    for word in ("unexpected", "Traceback", "bug in lab", "Exception ignored"):
        assert word not in told, told


def test_the_table_has_every_command() -> None:
    assert {*COURSE, *LAB} == {name for section in SECTIONS.values() for name in section}


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC], ids=errno.errorcode.get)
@pytest.mark.parametrize("name", [*COURSE, *LAB])
def test_a_home_folder_that_takes_nothing_is_one_error(
    someone: Someone, refusing: Refusal, name: str, number: int
) -> None:
    refusing.number, refusing.folder = number, someone.environ["HOME"]
    status, told = someone.run(name, {**COURSE, **LAB}[name])
    expect_no_mistake_of_ours(told)
    if status in (Exit.OK, Exit.NOT_SOLVED):
        return  # this command writes nothing there
    expect_one_error(status, told)
    if os.strerror(number) in told:
        assert f"error: cannot write {refusing.folder}" in told


def test_commands_that_record_progress_do_write_there(someone: Someone, refusing: Refusal) -> None:
    refusing.number, refusing.folder = errno.EROFS, someone.environ["HOME"]
    for name in ("start", "check", "hint", "solve", "reset"):
        status, told = someone.run(name, {**COURSE, **LAB}[name])
        assert status == Exit.BROKEN, (name, told)
        assert "\n  Read-only file system\nhint: findmnt -T " in told, (name, told)


@pytest.mark.parametrize("out", ["/dev/full", os.devnull])
@pytest.mark.parametrize("name", [name for name in (*COURSE, *LAB) if name not in SILENT])
def test_a_standard_output_that_takes_nothing_is_one_error(someone: Someone, name: str, out: str) -> None:
    status, told = someone.run(name, {**COURSE, **LAB}[name], out)
    expect_no_mistake_of_ours(told)
    expect_one_error(status, told)
    assert "error: cannot write to standard output\n  " in told


def lab(environ: Mapping[str, str], folder: Path, line: str) -> subprocess.CompletedProcess[str]:
    settings = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "DOCKER_HOST": "unix:///nowhere",
        **environ,
    }
    command = line.replace("lab ", f"{sys.executable} -m lab.cli.main ", 1)
    return subprocess.run(
        ["/bin/bash", "-c", command], env=settings, capture_output=True, text=True, check=False, cwd=folder
    )


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("lab exercises >/dev/full", "No space left on device"),
        ("lab validate --schema >/dev/full", "No space left on device"),
        ("lab --help >/dev/full", "No space left on device"),
        ("lab exercises >&-", "Bad file descriptor"),
        ("lab validate <&- >&-", "Bad file descriptor"),
    ],
)
def test_the_real_program_tells_that_its_output_goes_nowhere(tmp_path: Path, line: str, why: str) -> None:
    done = lab({"HOME": str(tmp_path)}, tmp_path, line)
    assert done.returncode == Exit.BROKEN, done.stderr
    expect_no_mistake_of_ours(done.stderr)
    assert done.stderr.startswith(f"error: cannot write to standard output\n  {why}\nhint: ")


@pytest.mark.parametrize(
    "line", ["lab validate 2>&-", "lab validate 2>/dev/full", "lab ls 2>/dev/full", "lab ls 2>&- >&-"]
)
def test_messages_that_nobody_can_read_change_nothing(tmp_path: Path, line: str) -> None:
    done = lab({"HOME": str(tmp_path)}, tmp_path, line)
    assert done.returncode == (Exit.OK if "validate" in line else Exit.BROKEN)
    assert done.stderr == ""


def test_a_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    done = lab(
        {"HOME": str(tmp_path)},
        folder,
        "rmdir $PWD; lab ls",
    )
    assert done.returncode == Exit.BROKEN
    assert "error: the current folder no longer exists" in done.stderr


# the writers themselves, on a device that is really full


def test_progress_on_a_full_disk_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    file = ProgressFile(tmp_path, "lab")
    file.begin("one")
    before = file.path.read_text()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(LabError) as caught:
        file.begin("two")
    assert caught.value.message == f"cannot write {file.path}"
    assert caught.value.evidence == "No space left on device"
    assert caught.value.hint.startswith(f"df -h {tmp_path}")
    assert file.path.read_text() == before


def test_a_transcript_on_a_full_disk_is_named(tmp_path: Path) -> None:
    place = tmp_path / "c1-root.log"
    place.symlink_to("/dev/full")
    transport = PtyTransport(["/bin/sh"], place, HostSpeed(most=1.0))
    try:
        with pytest.raises(LabError, match=f"cannot write {place}") as caught:
            transport.note(b"text")
    finally:
        transport.close()
    assert caught.value.evidence == "No space left on device"


def test_a_lock_below_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    place = tmp_path / "file" / "rackling"
    with pytest.raises(LabError) as caught, FileLocks(lambda: place).hold("lab", "lab up", print):
        pass
    assert caught.value.message == f"cannot write {place}"
    assert (
        caught.value.hint == f"ls -ld {tmp_path / 'file'}; to keep lab's files elsewhere: export HOME=FOLDER"
    )


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/a/b"), "cannot write /a/b"),
        (OSError(errno.EACCES, "Permission denied", b"/a/b"), "cannot use /a/b"),
        (OSError(errno.ENOSPC, "No space left on device"), "cannot write a file"),
        (
            OSError(errno.EMFILE, "Too many open files"),
            "the system has no more room for open files or memory",
        ),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "/a"), None),
        (OSError("words only"), None),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), None),
    ],
)
def test_what_is_the_systems_fault_is_told_as_such_and_nothing_else(
    problem: OSError, message: str | None
) -> None:
    found = system_error(problem)
    assert (found.message if found else None) == message
    if message is None:
        with pytest.raises(OSError, match=r".*") as caught, writing(Path("/x")):
            raise problem
        assert caught.value is problem
