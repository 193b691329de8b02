"""The cached checkpoint: memory under another description, and what tells which lab it fits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lab.backends.libvirt import checkpoint_cache
from lab.backends.libvirt.checkpoint_cache import HEADER, MAGIC, VERSION, CheckpointCache, rewrite_save_header
from lab.backends.libvirt.storage import PARTS, DiskStore
from lab.config.loader import load
from lab.errors import LabError
from lab.model import ClusterSpec

MEMORY = bytes(range(256)) * 3000
OLD = b"<domain><name>old</name></domain>\0"
COOKIE = b"<cookie/>\0"


def anew(tmp_path: Path, saved: bytes, text: str) -> bytes:
    (tmp_path / "old").write_bytes(saved)
    with (tmp_path / "old").open("rb") as old, (tmp_path / "new").open("wb") as new:
        rewrite_save_header(old, text, new)
    return (tmp_path / "new").read_bytes()


@pytest.mark.parametrize("padding", [b"", b"\0" * 50])
@pytest.mark.parametrize("text", ["<domain/>", "<domain><name>a longer one than it was</name></domain>"])
def test_memory_and_cookie_stay_as_they_are(tmp_path: Path, text: str, padding: bytes) -> None:
    head = HEADER.pack(MAGIC, VERSION, len(OLD + COOKIE + padding), 1, 0, len(OLD))
    found = anew(tmp_path, head + OLD + COOKIE + padding + MEMORY, text)
    magic, version, length, running, packing, cookie = HEADER.unpack(found[: HEADER.size])
    texts, memory = found[HEADER.size : HEADER.size + length], found[HEADER.size + length :]
    assert (magic, version, running, packing) == (MAGIC, VERSION, 1, 0)
    assert texts[:cookie] == text.encode() + b"\0"
    assert texts[cookie:] == COOKIE + padding
    assert memory == MEMORY


def test_an_older_form_without_a_cookie(tmp_path: Path) -> None:
    found = anew(tmp_path, HEADER.pack(MAGIC, VERSION, len(OLD), 0, 0, 0) + OLD + MEMORY, "<domain/>")
    assert found == HEADER.pack(MAGIC, VERSION, 10, 0, 0, 0) + b"<domain/>\0" + MEMORY


@pytest.mark.parametrize("head", [b"", b"LibvirtQemudPart", HEADER.pack(MAGIC, 3, 0, 0, 0, 0)])
def test_an_unknown_form_is_an_error_that_shows_it(tmp_path: Path, head: bytes) -> None:
    with pytest.raises(LabError, match="unknown format"):
        anew(tmp_path, head, "<domain/>")


class Daemon:
    def __init__(self, version: int = 7002000) -> None:
        self.version = version

    def getVersion(self) -> int:  # noqa: N802 (libvirt's name)
        return self.version

    def getLibVersion(self) -> int:  # noqa: N802
        return 9000000


def test_it_fits_labs_of_the_same_shape_whatever_their_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint_cache, "PLACE", tmp_path / "golden")
    store = DiskStore(tmp_path)
    with store.making("sms", "0123456789ab") as target:
        for part in PARTS:
            Path(f"{target}{part}").write_text("x")
    store.use("sms", "0123456789ab")

    def place(spec: ClusterSpec, daemon: Daemon, *, kvm: bool = False) -> Path:
        return CheckpointCache(daemon, spec, store, kvm=kvm).place

    spec = load(None, [], {"LAB_BACKEND": "libvirt"}, "one")
    first = place(spec, Daemon())
    assert place(replace(spec, lab="two"), Daemon()) == first
    others = {
        place(load(None, ["c.count=3"], {"LAB_BACKEND": "libvirt"}, "one"), Daemon()),
        place(spec, Daemon(8000000)),
        place(spec, Daemon(), kvm=True),
    }
    assert len(others | {first}) == 4
