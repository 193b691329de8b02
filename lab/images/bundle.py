"""Packs lab/guest, or one of its programs, into one executable zip; the same sources give the same bytes."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

SHEBANG = b"#!/usr/bin/python3 -IS\n"
"""-I and -S: root runs it, so nothing of a user may be imported, and it starts in half the time."""
MAIN = """\
#!/usr/bin/python3 -IS
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from lab.guest.main import main

sys.exit(main(sys.argv))
"""
ALONE = """\
#!/usr/bin/python3 -IS
import sys

from lab.guest.main import main

sys.exit(main(["{name}", *sys.argv[1:]]))
"""
NEEDED = {"nodeimage": ("__init__.py", "main.py", "system.py", "archive/", "nodeimage/")}
"""What of lab/guest the programs need that are useful without a lab."""
SHARED = ("siphon/fetch/hostlist.py", "printable.py")
"""Modules outside lab/guest that its programs import; they import the standard library only."""
_EPOCH = (1980, 1, 1, 0, 0, 0)


def write_bundle(target: Path) -> None:
    """Writes the guest's Python programs, without its plain files, as a zip that Python runs."""
    _write(target, _members())


def write_program(target: Path, name: str) -> None:
    """Writes one program of the guest, which then runs wherever Python 3.9 is."""
    needed = tuple(f"lab/guest/{part}" for part in NEEDED[name])
    members = [("__main__.py", ALONE.format(name=name).encode())]
    members += [one for one in _members() if one[0] == "lab/__init__.py" or one[0].startswith(needed)]
    _write(target, members)


def _write(target: Path, members: Iterable[tuple[str, bytes]]) -> None:
    temporary = target.with_name(f".{target.name}.new")
    with temporary.open("wb") as file:
        file.write(SHEBANG)
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
            for name, data in members:
                info = zipfile.ZipInfo(name, _EPOCH)
                info.compress_type = zipfile.ZIP_DEFLATED
                info.create_system = 3  # Unix, on any host
                info.external_attr = 0o100644 << 16
                archive.writestr(info, data)
    temporary.chmod(0o755)
    temporary.replace(target)


def _members() -> Iterator[tuple[str, bytes]]:
    package = Path(__file__).parents[1]
    yield "__main__.py", MAIN.encode()
    yield "lab/__init__.py", (package / "__init__.py").read_bytes()
    for shared in SHARED:
        for parent in reversed(Path(shared).parents[:-1]):
            yield f"lab/{parent.as_posix()}/__init__.py", b""
        yield f"lab/{shared}", (package / shared).read_bytes()
    guest = package / "guest"
    for path in sorted(guest.rglob("*.py")):
        inside = path.relative_to(guest)
        if inside.parts[0] != "files":
            yield f"lab/guest/{inside.as_posix()}", path.read_bytes()
