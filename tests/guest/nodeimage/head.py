"""A head node with Warewulf, as far as nodeimage needs one."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from lab.guest.warewulf import store
from tests.guest.conftest import PROVISION, ROOT, Sms
from tests.guest.kernel_image import kernel_file
from tests.guest.nodeimage.bed import Bed, settle

KVER = "6.12.3-test"
MACS = {"c1": "52:54:00:00:00:01", "c2": "52:54:00:00:00:02"}
PROGRAM = """#!{python}
import os, sys
os.geteuid = lambda: 0
sys.path.insert(0, {project!r})
from lab.guest.main import main
sys.exit(main(sys.argv))
"""
ROUTE = '#!/bin/sh\necho "$5 dev eth1 src 172.16.0.1 uid 0"\n'


class Head:
    """A head node with Warewulf, two nodes, and a role of which releases are published."""

    def __init__(self, bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bed = bed
        self.sms = Sms(bed.root, monkeypatch)
        monkeypatch.delenv("RACKLING_ROOT")
        bed.head = str(bed.root)
        bin_folder = bed.root / "programs"
        bin_folder.mkdir()
        for name in ("wwsh", "wwbootstrap"):
            self.program(bin_folder / name, PROGRAM.format(python=sys.executable, project=str(ROOT)))
        self.program(bin_folder / "ip", ROUTE)
        (bed.root / "tmp").mkdir(exist_ok=True)
        monkeypatch.setenv("PATH", f"{bin_folder}:{os.environ['PATH']}")
        monkeypatch.setattr("tempfile.tempdir", str(bed.root / "tmp"))
        self._monkeypatch = monkeypatch
        for path, text in {
            "/etc/warewulf/provision.conf": PROVISION,
            "/etc/warewulf/bootstrap.conf": "drivers += net/\n",
            "/etc/hosts": "127.0.0.1 localhost\n",
            "/usr/lib/rackling/initramfs/init": "#!/bin/sh\n",
        }.items():
            self.sms.write(path, text)
        store.create(self.sms.system)
        for number, (name, mac) in enumerate(MACS.items(), 1):
            self.wwsh(
                "node", "new", name, "-D", "eth0", "-I", f"172.16.1.{number}", "-H", mac, "-M", "255.255.0.0"
            )
        modules = bed.tree / f"usr/lib/modules/{KVER}"
        (modules / "net").mkdir(parents=True)
        (modules / "modules.dep").write_text("net/card.ko:\n")
        (modules / "net/card.ko").write_text("a module")
        settle(bed.tree)
        self.kernel = bed.root / "vmlinuz"
        self.kernel.write_bytes(kernel_file(f"{KVER} (somebody@here) #1 SMP"))

    @staticmethod
    def program(path: Path, text: str) -> None:
        path.write_text(text)
        path.chmod(0o755)

    def wwsh(self, *words: str) -> str:
        self._monkeypatch.setenv("RACKLING_ROOT", str(self.sms.root))
        done = self.sms.wwsh("-y", *words)
        self._monkeypatch.delenv("RACKLING_ROOT")
        assert "ERROR" not in done.err
        return done.out

    def release(self, name: str) -> None:
        """Publishes and activates a release."""
        (self.bed.tree / "etc/about").write_text(name)
        self.bed.prove("configure")
        self.bed.must("configure", str(self.bed.folder))
        self.bed.must("test", str(self.bed.folder))
        self.bed.must("pack", str(self.bed.folder), "--kernel", str(self.kernel))
        self.bed.must("publish", "compute", "--release", name)
        self.bed.must("activate", "compute", name)

    def boots(self, name: str) -> tuple[str, str]:
        """The VNFS and the bootstrap of a node."""
        rows = dict(
            line.split(": ", 1)[1].split(" = ")
            for line in self.wwsh("provision", "print", name).splitlines()[1:]
        )
        found = {key.strip(): value for key, value in rows.items()}
        return found["VNFS"], found["BOOTSTRAP"]
