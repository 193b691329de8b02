"""The datastore: who may read it, who may write it, and what survives (warewulf3.md, section 2)."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.guest.system import System
from lab.guest.warewulf import store as store_module
from lab.guest.warewulf.model import Kind, NetDev, Record
from lab.guest.warewulf.store import CONTENTS, OBJECTS, Store, StoreError
from tests.guest import conftest

if TYPE_CHECKING:
    from tests.guest.conftest import Sms

NOBODY = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def test_everything_of_an_object_comes_back(sms: Sms) -> None:
    record = Record(
        Kind.NODE,
        {"NAME": ("c1", "c1.example"), "KARGS": ("a", "b"), "X": 'quote " and \\'},
        (NetDev("eth0", hwaddr=("52:54:00:00:00:01", "52:54:00:00:00:02"), mtu="9000"), NetDev("ib0")),
    )
    store = sms.store()
    with store.transaction():
        stored = store.add(record)
    found = store.get(Kind.NODE, stored.id)
    assert found is not None
    assert (found.values, found.netdevs) == (record.values, record.netdevs)
    assert store.get(Kind.FILE, stored.id) is None
    assert [one.id for one in store.find(Kind.NODE, "_hwaddr", "52:54:00:00:00:02")] == [stored.id]
    store.close()


@pytest.mark.parametrize(
    ("number", "name"), [("1", "image"), ("2", None), ("", None), ("x", None), ("²", None), ("9" * 30, None)]
)
def test_a_key_may_refer_to_nothing(sms: Sms, number: str, name: str | None) -> None:
    store = sms.store()
    with store.transaction():
        store.add(Record(Kind.VNFS, {"NAME": "image"}))
        store.add(Record(Kind.FILE, {"NAME": "f"}))
    found = store.referred(Kind.VNFS, number)
    assert (found.name if found else None) == name
    store.close()


def test_timestamps_grow_with_changes_only_and_never_repeat(sms: Sms) -> None:
    store = Store(System(str(sms.root), uid=0, clock=lambda: 1000.0))
    with store.transaction():
        one = store.add(Record(Kind.FILE, {"NAME": "one"}))
        two = store.add(Record(Kind.FILE, {"NAME": "two"}))
        assert two.timestamp > one.timestamp
        assert store.put(one).timestamp == one.timestamp
        assert store.put(one.put("PATH", "/x")).timestamp > two.timestamp
    store.close()


def test_an_error_inside_a_transaction_undoes_all_of_it(sms: Sms) -> None:
    store = sms.store()

    def interrupted() -> None:
        with store.transaction():
            record = store.add(Record(Kind.FILE, {"NAME": "x"}))
            store.set_content(record.id, b"secret")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        interrupted()
    assert store.records(Kind.FILE) == []
    assert store.content(1) == b""
    store.close()


def test_permissions_keep_contents_from_other_users(sms: Sms) -> None:
    assert sms.path(OBJECTS).stat().st_mode & 0o777 == 0o644
    assert sms.path(CONTENTS).stat().st_mode & 0o777 == 0o640
    assert store_module.create(sms.system) is False


@pytest.fixture
def open_root() -> Iterator[Path]:
    """A root that other users can reach; pytest's own folders are closed to them."""
    folder = Path(tempfile.mkdtemp(prefix="rackling-store."))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def _as_nobody(sms: Sms, *words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *conftest.command(*words)],
        env=conftest.environment(sms, PYTHONDONTWRITEBYTECODE="1"),
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        text=True,
        check=False,
    )


@needs_root
def test_an_ordinary_user_lists_but_neither_changes_nor_sees_secrets(
    open_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if subprocess.run(
        ["setpriv", f"--reuid={NOBODY}", "--clear-groups", *conftest.command("nothing")],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(conftest.ROOT)},
        capture_output=True,
        check=False,
    ).returncode not in (1, 2):
        pytest.skip("this Python or checkout cannot be read by other users")
    sms = conftest.Sms(open_root, monkeypatch)
    sms.write("/etc/warewulf/provision.conf", conftest.PROVISION)
    store_module.create(sms.system)
    sms.write("/etc/munge.key", "hush", 0o400)
    sms.must("file", "import", "/etc/munge.key")
    sms.must("node", "new", "c1")
    listed = _as_nobody(sms, "wwsh", "node", "list", "-1")
    assert (listed.returncode, listed.stdout) == (0, "c1\n"), listed.stderr
    assert "c1: VALIDATE         = FALSE" in _as_nobody(sms, "wwsh", "provision", "print", "c1").stdout
    assert "munge.key" in _as_nobody(sms, "wwsh", "file", "list").stdout
    shown = _as_nobody(sms, "wwsh", "file", "show", "munge.key")
    assert shown.returncode == 1
    assert "hush" not in shown.stdout + shown.stderr
    assert "ERROR:  Only root can read the contents of files" in shown.stderr
    refused = _as_nobody(sms, "wwsh", "node", "new", "c2")
    assert refused.returncode == 1
    assert refused.stderr == "ERROR:  Only root can change the Warewulf data store\nhint: use sudo\n"
    assert sorted(path.name for path in (open_root / "var/lib/warewulf").iterdir()) == [
        "content.db",
        "warewulf.db",
    ]


@needs_root
def test_many_writers_at_once_lose_nothing(sms: Sms) -> None:
    started = [
        subprocess.Popen(conftest.command("wwsh", "--nodhcp", "node", "new", f"n{number}", f"m{number}"),
                         env=conftest.environment(sms), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for number in range(6)
    ]  # fmt: skip
    for process in started:
        complaint = process.communicate()[1]
        assert process.returncode == 0, complaint
    assert len(sms.must("node", "list", "-1").split()) == 12


@needs_root
def test_a_writer_killed_inside_its_transaction_leaves_the_store_whole(sms: Sms) -> None:
    sms.must("node", "new", "before")
    code = (
        "import sys, time\n"
        "from lab.guest.system import System\n"
        "from lab.guest.warewulf.store import Store\n"
        "from lab.guest.warewulf.model import Kind, Record\n"
        f"store = Store(System({str(sms.root)!r}))\n"
        "with store.transaction():\n"
        "    for number in range(2000):\n"
        "        record = store.add(Record(Kind.FILE, {'NAME': f'f{number}'}))\n"
        "        store.set_content(record.id, b'x' * 5000)\n"
        "    print('inside', flush=True)\n"
        "    time.sleep(60)\n"
    )
    process = subprocess.Popen(
        [conftest.command()[0], "-c", code], env=conftest.environment(sms), stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"inside\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    begun = time.monotonic()
    assert sms.must("node", "list", "-1").split() == ["before"]
    assert "f1999" not in sms.must("file", "list")
    sms.must("node", "new", "after")
    assert time.monotonic() - begun < 10, "the dead writer's lock was waited for"


def test_a_record_gone_meanwhile_is_an_error_not_a_ghost(sms: Sms) -> None:
    store = sms.store()
    with store.transaction():
        record = store.add(Record(Kind.FILE, {"NAME": "x"}))
        store.delete(record)
        with pytest.raises(StoreError, match="no longer in the data store"):
            store.put(record.put("PATH", "/x"))
    store.close()
