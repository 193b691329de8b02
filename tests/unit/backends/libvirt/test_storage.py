"""Files of virtual machines: bases by content, editions, and what may be thrown away."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from lab.backends.libvirt import inspection
from lab.backends.libvirt.storage import (
    PARTS,
    DiskStore,
    LabFolder,
    lab_names,
    lock_folder,
    make_closed_folder,
    make_folder,
)
from lab.errors import LabError, UsageError
from lab.lock import FileLocks
from lab.model import PendingBoot

OLD, NEW = "0123456789ab", "ba9876543210"


@pytest.fixture
def store(tmp_path: Path) -> DiskStore:
    return DiskStore(tmp_path)


def build(store: DiskStore, key: str) -> None:
    with store.making("sms", key) as target:
        for part in PARTS:
            Path(f"{target}{part}").write_text(key * 1000)


def test_a_base_is_there_when_it_is_whole(store: DiskStore) -> None:
    assert store.look("sms", OLD) == (0, "")
    build(store, OLD)
    size, made = store.look("sms", OLD)
    assert size > 0
    assert made.startswith("20")
    (store.folder / f"sms-{OLD}.kernel").unlink()
    assert store.look("sms", OLD) == (0, "")


def test_a_build_that_fails_leaves_nothing(store: DiskStore) -> None:
    def fail() -> None:
        with store.making("sms", OLD) as target:
            Path(f"{target}.raw").write_text("half")
            raise LabError("no room")

    with pytest.raises(LabError, match="no room"):
        fail()
    assert list(store.folder.iterdir()) == []


def test_labs_are_made_of_the_base_that_was_used_last_in_their_edition(
    store: DiskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(LabError, match="has not been built"):
        store.current("sms")
    build(store, OLD)
    store.use("sms", OLD)
    monkeypatch.setenv("LAB_IMAGES", "edition-e")
    build(store, NEW)
    store.use("sms", NEW)
    assert store.current("sms").disk.name == f"sms-{NEW}.raw"
    monkeypatch.delenv("LAB_IMAGES")
    assert store.current("sms").disk.name == f"sms-{OLD}.raw"
    assert store.current("sms").kernel.read_text() == OLD * 1000


def test_an_edition_is_no_path(monkeypatch: pytest.MonkeyPatch, store: DiskStore) -> None:
    monkeypatch.setenv("LAB_IMAGES", "../elsewhere")
    with pytest.raises(UsageError):
        store.current("sms")


def test_a_base_goes_when_no_edition_and_no_lab_needs_it(store: DiskStore, tmp_path: Path) -> None:
    build(store, OLD)
    store.use("sms", OLD)
    folder = LabFolder("try", tmp_path)
    folder.path.mkdir(parents=True)
    (folder.path / "sms.base").symlink_to(store.folder / f"sms-{OLD}.raw")
    build(store, NEW)
    store.use("sms", NEW)
    assert store.look("sms", OLD)[0] > 0  # a lab lies on it
    assert folder.base_of("sms").disk == store.folder / f"sms-{OLD}.raw"
    folder.remove()
    store.use("sms", NEW)
    assert store.look("sms", OLD)[0] == 0
    assert store.look("sms", NEW)[0] > 0


def test_a_lab_has_files_until_they_are_removed(tmp_path: Path) -> None:
    assert lab_names(tmp_path) == []
    folder = LabFolder("try", tmp_path)
    folder.path.mkdir(parents=True)
    for name in ("c1.console", "c1.power", "c1-vda.img", "c10.console", "key"):
        (folder.path / name).write_text("x")
    assert lab_names(tmp_path) == ["try"]
    folder.forget("c1")
    assert sorted(path.name for path in folder.path.iterdir()) == ["c10.console", "key"]
    folder.remove()
    folder.remove()
    assert lab_names(tmp_path) == []


def test_a_cached_checkpoint_goes_with_the_base_it_lies_on(store: DiskStore) -> None:
    build(store, OLD)
    store.use("sms", OLD)
    kept = store.folder.parent / "golden" / "c0ffee"
    kept.mkdir(parents=True)
    (kept / "sms.base").symlink_to(store.current("sms").disk)
    store.use("sms", OLD)
    assert kept.is_dir()
    build(store, NEW)
    store.use("sms", NEW)
    assert not kept.exists()


def test_a_folder_too_deep_for_sockets_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    with pytest.raises(LabError) as caught:
        LabFolder("try", deep).make()
    assert "XDG_STATE_HOME" in caught.value.hint
    assert not deep.exists()


def test_a_boot_is_kept_with_a_lab_that_exists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, boot = LabFolder("x", tmp_path), PendingBoot(("c1",), 1.5, ("c1",), "kept")
    folder.note_boot(boot)
    assert list(tmp_path.iterdir()) == [], "no folder is made for it"
    folder.path.mkdir(parents=True)
    folder.note_boot(boot)
    monkeypatch.setattr(inspection, "LabFolder", lambda _lab: folder)
    assert inspection._record("x", (), ()).boot == boot
    folder.note_boot(None)
    folder.note_boot(None)
    assert inspection._record("x", (), ()).boot is None


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077], ids="{:03o}".format)
@pytest.mark.parametrize(
    ("uri", "mode"), [("qemu:///session", 0o700), ("qemu:///system", 0o711)], ids=["own", "root's"]
)
def test_folders_are_open_for_the_machines_and_nobody_else_whatever_the_umask_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, umask: int, uri: str, mode: int
) -> None:
    monkeypatch.setenv("LAB_LIBVIRT_URI", uri)
    there = tmp_path / "there"
    there.mkdir(mode=0o755)
    there.chmod(0o755)
    former = os.umask(umask)
    try:
        make_folder(there / "rackling" / "labs" / "mine")
        make_folder(there / "rackling" / "labs" / "mine")
    finally:
        os.umask(former)
    assert there.stat().st_mode & 0o777 == 0o755
    assert {path.stat().st_mode & 0o777 for path in there.rglob("*")} == {mode}


def test_one_libvirt_has_one_folder_of_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.backends.libvirt.storage.SYSTEM", tmp_path / "rackling")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    found = set()
    for state in ("one", "two"):
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / state))
        for uri in ("qemu:///session", "qemu:///system"):
            monkeypatch.setenv("LAB_LIBVIRT_URI", uri)
            found.add((uri, lock_folder()))
    locks = tmp_path / "rackling" / "locks"
    assert found == {("qemu:///session", locks), ("qemu:///system", locks)}


@pytest.mark.parametrize("before", [0o711, 0o700], ids="{:03o}".format)
def test_a_lock_leaves_the_way_to_disks_open_for_the_machines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int
) -> None:
    system = tmp_path / "rackling"
    monkeypatch.setattr("lab.backends.libvirt.storage.SYSTEM", system)
    monkeypatch.setenv("LAB_LIBVIRT_URI", "qemu:///system")
    system.mkdir()
    system.chmod(before)
    with FileLocks(lock_folder).hold("lab", "lab up", print):
        pass
    assert system.stat().st_mode & 0o777 == 0o711
    assert (system / "locks").stat().st_mode & 0o777 == 0o700


# what other accounts of this host may read


@pytest.fixture
def closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LabFolder]:
    """A lab of root's, of which the machines' group is known."""
    monkeypatch.setattr("lab.backends.libvirt.storage.SYSTEM", tmp_path / "rackling")
    monkeypatch.setenv("LAB_LIBVIRT_URI", "qemu:///system")
    monkeypatch.setattr("lab.backends.libvirt.storage.SOCKET_PATH", 500)  # pytest's folders are deep
    monkeypatch.setattr("pwd.getpwnam", lambda _name: SimpleNamespace(pw_gid=os.getegid()))
    former = os.umask(0o022)
    folder = LabFolder("try", tmp_path / "rackling")
    folder.make()
    yield folder
    os.umask(former)


def test_a_snapshot_leaves_the_folder_of_its_lab_closed(closed: LabFolder) -> None:
    place = closed.path / "snapshots" / ".new"
    make_closed_folder(place)
    assert (closed.path.stat().st_mode & 0o777, place.stat().st_mode & 0o777) == (0o710, 0o700)


def test_a_list_of_labs_that_was_open_is_closed(closed: LabFolder) -> None:
    closed.path.parent.chmod(0o755)
    make_folder(closed.path)
    assert closed.path.parent.stat().st_mode & 0o777 == 0o711


def test_disks_are_for_machines_only_whatever_the_folders_are(
    closed: LabFolder, store: DiskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The identity disk holds the keys of the lab."""
    build(store, OLD)
    store.use("sms", OLD)
    whole = store.current("sms")
    base = whole.disk
    for path in (whole.kernel, whole.initrd):
        assert path.stat().st_mode & 0o777 == 0o600, "as it was built"
        path.chmod(0o644)
    base.chmod(0o600)
    monkeypatch.setattr(
        "lab.backends.libvirt.storage.run", lambda argv, **_: touch(closed, [*map(str, argv)])
    )
    closed.make_system_disk("sms", store)
    closed.make_identity_disk("sms")
    closed.make_node_disk("c1", 1)
    found = {path.name: path.stat().st_mode & 0o777 for path in closed.path.glob("*.img")}
    assert found == {"sms-vda.img": 0o600, "sms-vdb.img": 0o600, "c1-vda.img": 0o600}
    assert base.stat().st_mode & 0o777 == 0o644, "machines only read it, as everybody may"
    assert [path.stat().st_mode & 0o777 for path in (whole.kernel, whole.initrd)] == [0o600, 0o600]


def touch(folder: LabFolder, argv: list[str]) -> None:
    """Makes what a program would, by its last word or as the maker of nodes' disks is told it."""
    named = {"qemu-img": argv[-1], "mke2fs": argv[-2]}
    Path(named.get(argv[0], str(folder.disk("c1", "a")))).touch(mode=0o644)
