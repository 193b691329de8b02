"""Files and folders of ours on the host: nobody else reads them, whatever the umask is."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.course.progress import ProgressFile
from lab.host_speed import HostSpeed
from lab.lock import FileLocks
from lab.nodes.pty import PtyTransport
from lab.paths import account_locks, private_folder, user_paths


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o777], ids="{:03o}".format)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    former = os.umask(request.param)
    yield request.param
    os.umask(former)


def modes(top: Path) -> dict[str, int]:
    """Modes of all that is below a folder, by path."""
    return {str(path.relative_to(top)): path.lstat().st_mode & 0o777 for path in top.rglob("*")}


def test_every_folder_that_is_made_is_private(tmp_path: Path, umask: int) -> None:
    wanted = tmp_path / "share" / "rackling" / "transcripts" / "lab"
    assert private_folder(wanted) == wanted
    assert private_folder(wanted) == wanted
    found = modes(tmp_path)
    assert len(found) == 4
    assert set(found.values()) == {0o700}, umask


def test_folders_of_ours_that_were_open_are_closed_and_those_of_others_stay(tmp_path: Path) -> None:
    checkout = tmp_path / "rackling" / "share"
    (checkout / "rackling" / "transcripts").mkdir(parents=True)
    for path in tmp_path.rglob("*"):
        path.chmod(0o755)
    private_folder(checkout / "rackling" / "transcripts" / "lab")
    found = modes(tmp_path)
    assert found.pop("rackling") == found.pop("rackling/share") == 0o755
    assert set(found.values()) == {0o700}


def test_a_link_is_not_followed_to_a_folder_that_would_be_closed(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    (tmp_path / "open").chmod(0o755)
    (tmp_path / "rackling").symlink_to(tmp_path / "open")
    private_folder(tmp_path / "rackling")
    assert (tmp_path / "open").stat().st_mode & 0o777 == 0o755


def test_a_folder_below_a_file_is_the_systems_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError):
        private_folder(tmp_path / "file" / "rackling")


def test_files_of_a_learner_are_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    former = os.umask(0)
    try:
        data = user_paths({"HOME": str(tmp_path)}).data
        progress = ProgressFile(data, "lab")
        progress.begin("one")
        progress.begin("two")  # the former file is kept beside it
        PtyTransport(["/bin/sh"], data / "transcripts" / "lab" / "c1-root.log", HostSpeed(most=1.0)).close()
        with FileLocks(lambda: tmp_path / "locks").hold("lab", "lab up", print):
            pass
    finally:
        os.umask(former)
    found = modes(tmp_path)
    assert len([path for path in found if path.endswith((".json", ".previous", ".log", "lab.lock"))]) == 4
    assert {path: mode for path, mode in found.items() if mode & 0o077} == {}


def test_locks_of_an_accounts_own_engine_are_where_that_engine_is_looked_for(tmp_path: Path) -> None:
    runtime = {"HOME": "/home/me", "XDG_STATE_HOME": "/elsewhere", "XDG_RUNTIME_DIR": str(tmp_path)}
    assert account_locks(runtime) == tmp_path / "rackling" / "locks"
    assert account_locks(runtime | {"XDG_STATE_HOME": "/other"}) == account_locks(runtime)
    gone = runtime | {"XDG_RUNTIME_DIR": str(tmp_path / "gone")}
    assert account_locks(gone) == Path("/home/me/.cache/rackling/locks")


def test_a_folder_that_is_a_link_to_nowhere_is_named(tmp_path: Path) -> None:
    """A home folder on a disk that is not mounted."""
    link = tmp_path / "home"
    link.symlink_to(tmp_path / "unmounted")
    for wanted in (link, link / ".local" / "share" / "rackling"):
        with pytest.raises(NotADirectoryError) as caught:
            private_folder(wanted)
        assert (caught.value.errno, caught.value.filename) == (errno.ENOTDIR, str(link))


def test_a_file_system_that_takes_no_folders_is_named() -> None:
    with pytest.raises(PermissionError) as caught:
        private_folder(Path("/proc/rackling-none/x"))
    assert caught.value.filename == "/proc/rackling-none"
