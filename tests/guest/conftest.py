"""A node's file system on a temporary root, and ways to run the guest's programs in it."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.guest import main as entry
from lab.guest.system import System
from lab.guest.warewulf import store
from lab.guest.warewulf.model import Kind, NetDev, Record, with_node_names

ROOT = Path(__file__).resolve().parents[2]
PROVISION = "network device = eth1\nip address = 172.16.0.1\nip netmask = 255.255.0.0\n"

# A node with a value under every key, and what `set` may do to it.
MAC, OTHER = "52:54:00:aa:bb:01", "52:54:00:aa:bb:02"
PREFIX = "80:00:00:48:fe:80:00:00:00:00:00:00"
DEVICE = NetDev(
    "eth0",
    hwaddr=(MAC,),
    hwprefix=PREFIX,
    ipaddr="172.16.1.1",
    netmask="255.255.0.0",
    network="172.16.0.0",
    gateway="172.16.0.1",
    mtu="1500",
    fqdn="c1.x",
    bonddevs=("eth1", "eth2"),
    bondmode="1",
)
KEYS: Mapping[str, str | tuple[str, ...]] = {
    "NODENAME": "c1",
    "ARCH": "x86_64",
    "ENABLED": "1",
    "GROUPS": ("a", "b"),
}
NODE = with_node_names(Record(Kind.NODE, {**KEYS, "CLUSTER": "alpha", "DOMAIN": "d.e"}, (DEVICE,)))
Want = Mapping[str, "str | tuple[str, ...]"]
"""Keys of an object; of those that a command is to change, CLEARED stands for none."""
CLEARED = ""
ALL_UNDEF = ("UNDEF", "undef", "Undef")


@dataclass(frozen=True)
class Done:
    """How a program ended."""

    status: int
    out: str
    err: str


class Sms:
    """An SMS on a temporary root; programs run in this process unless said otherwise."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.system = System(str(root), uid=0)
        self._monkeypatch = monkeypatch
        monkeypatch.setenv("RACKLING_ROOT", str(root))

    def path(self, name: str) -> Path:
        return self.root / name.lstrip("/")

    def write(self, name: str, content: str | bytes, mode: int = 0o644) -> Path:
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(mode)
        return path

    def read(self, name: str) -> str:
        return self.path(name).read_text()

    def run(self, *words: str, stdin: str = "") -> Done:
        """Runs a program as one command line, neither stdin nor stdout being a terminal."""
        out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
        with self._monkeypatch.context() as patch:
            patch.setattr(sys, "stdin", io.StringIO(stdin))
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            patch.setattr("lab.guest.system.os.geteuid", lambda: 0)
            patch.setattr("lab.guest.warewulf.wwsh.signal.signal", lambda *_: None)
            status = entry.main(list(words))
        out.flush()
        raw = out.buffer
        assert isinstance(raw, io.BytesIO)
        return Done(status, raw.getvalue().decode(errors="replace"), err.getvalue())

    def wwsh(self, *words: str, stdin: str = "") -> Done:
        return self.run("wwsh", *words, stdin=stdin)

    def must(self, *words: str) -> str:
        """Runs wwsh and expects it to succeed; the only complaint allowed is that dnsmasq is off."""
        done = self.wwsh(*words)
        assert done.status == 0, done.err
        return done.out

    def store(self) -> store.Store:
        return store.Store(self.system)

    def add(self, *records: Record) -> None:
        with closing(self.store()) as opened, opened.transaction():
            for record in records:
                opened.add(record)

    def named(self, kind: Kind, name: str) -> Record | None:
        with closing(self.store()) as opened:
            return opened.named(kind, name)

    def values(self, name: str = "c1", kind: Kind = Kind.NODE) -> Want:
        """All keys of an object, those of its devices as eth0.ipaddr; empty if there is no such object."""
        record = self.named(kind, name)
        if record is None:
            return {}
        # A node's NAME follows from its other keys.
        found = {key: value for key, value in record.values.items() if kind is not Kind.NODE or key != "NAME"}
        for device in record.netdevs:
            for field in vars(device):
                values = device.values(field)
                if values and field != "name":
                    found[f"{device.name}.{field}"] = (
                        values if isinstance(getattr(device, field), tuple) else values[0]
                    )
        return found


def accepts(sms: Sms, words: Sequence[str], want: Want, name: str = "c1", kind: Kind = Kind.NODE) -> None:
    """Runs wwsh, which is to change exactly these keys of an object."""
    before = sms.values(name, kind)
    done = sms.wwsh("-y", *words)
    assert done.status == 0, done.err
    changed = {**before, **want}
    assert sms.values(name, kind) == {key: value for key, value in changed.items() if value != CLEARED}


def refuses(sms: Sms, words: Sequence[str], message: str, name: str = "c1", kind: Kind = Kind.NODE) -> None:
    """Runs wwsh, which is to say why it refuses, and to leave the object as it is."""
    before = sms.values(name, kind)
    done = sms.wwsh("-y", *words)
    assert f"ERROR:  {message}" in done.err
    assert done.status == 1
    assert sms.values(name, kind) == before


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sms:
    """An SMS on which nothing of Warewulf was set up."""
    return Sms(tmp_path / "root", monkeypatch)


@pytest.fixture
def sms(bare: Sms) -> Sms:
    """An SMS with an empty datastore and a known boot network."""
    bare.write("/etc/warewulf/provision.conf", PROVISION)
    bare.write("/etc/hosts", "127.0.0.1 localhost\n172.16.0.1 sms\n")
    store.create(bare.system)
    return bare


def command(*words: str) -> list[str]:
    """The argument list of a guest program in a process of its own."""
    code = "import sys; from lab.guest.main import main; sys.exit(main(sys.argv))"
    return [sys.executable, "-c", code, *words]


def environment(sms: Sms, **more: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "RACKLING_ROOT": str(sms.root), **more}


class Terminal:
    """A program on a pseudo-terminal, and what it has written there."""

    def __init__(self, sms: Sms, words: tuple[str, ...]) -> None:
        self._fd, inner = os.openpty()
        home = sms.root.parent
        self.process = subprocess.Popen(
            command(*words),
            stdin=inner,
            stdout=inner,
            stderr=inner,
            env=environment(sms, TERM="dumb", HOME=str(home)),
            start_new_session=True,
        )
        os.close(inner)
        self.text = ""

    def until(self, wanted: str, seconds: float = 20.0) -> str:
        """Reads until a text appears; returns all that came before it and it."""
        end = time.monotonic() + seconds
        while wanted not in self.text:
            assert time.monotonic() < end, f"no {wanted!r} in {self.text!r}"
            try:
                data = os.read(self._fd, 4096)
            except OSError:
                data = b""
            assert data, f"ended before {wanted!r}: {self.text!r}"
            self.text += data.decode().replace("\r\n", "\n")
        seen, self.text = self.text, ""
        return seen

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def end(self) -> tuple[int, str]:
        """Reads to the end; returns exit status and what was left."""
        while True:
            try:
                data = os.read(self._fd, 4096)
            except OSError:
                break
            if not data:
                break
            self.text += data.decode().replace("\r\n", "\n")
        return self.process.wait(timeout=20), self.text

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._fd)


@pytest.fixture
def on_terminal(sms: Sms) -> Iterator[Callable[..., Terminal]]:
    """Starts programs on a pseudo-terminal; the store must belong to whoever runs the tests."""
    opened: list[Terminal] = []

    def start(*words: str) -> Terminal:
        opened.append(Terminal(sms, words))
        return opened[-1]

    yield start
    for terminal in opened:
        terminal.close()
