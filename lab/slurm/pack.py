"""Builds siphon.pyz: the whole command in one file, for containers that have Python and nothing of ours."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
SHEBANG = b"#!/usr/bin/env -S python3 -I -S\n"
"""Isolated and without `site`: what the container's Python has installed does not count."""

NOT_PACKED = ("pack.py",)
EPOCH = (1980, 1, 1, 0, 0, 0)

MAIN = """\
import sys

archive = __file__[: -len("__main__.py")]


class Packed:
    # Modules in one marshalled table: thirty look-ups in a zip take longer than the fetch.

    def __init__(self, table):
        self.table = table

    def find_spec(self, name, path=None, target=None):
        if name in self.table:
            return ModuleSpec(name, self, is_package=self.table[name][0])

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        exec(self.table[module.__spec__.name][1], module.__dict__)


tag = sys.implementation.cache_tag
if tag in TAGS:
    from marshal import loads

    from _frozen_importlib import ModuleSpec

    sys.meta_path.insert(0, Packed(loads(__loader__.get_data(archive + tag))))
else:
    sys.path.insert(0, archive + "source")

from lab.slurm.cli import main

sys.exit(main())
"""

COMPILE = """\
import marshal, sys
table = {}
for item in sys.argv[1:]:
    name, path = item.split("=", 1)
    with open(path, "rb") as file:
        code = compile(file.read(), name, "exec", dont_inherit=True, optimize=2)
    module = name[: -len(".py")].replace("/", ".")
    package = module.endswith(".__init__")
    table[module[: -len(".__init__")] if package else module] = (package, code)
sys.stdout.buffer.write(marshal.dumps(table))
"""


def modules() -> dict[str, str]:
    """What is packed: name in the archive, file here."""
    names = sorted(name for name in os.listdir(HERE) if name.endswith(".py") and name not in NOT_PACKED)
    package = os.path.join(os.path.dirname(HERE), "__init__.py")
    return {"lab/__init__.py": package, **{f"lab/slurm/{name}": os.path.join(HERE, name) for name in names}}


def build(target: str, interpreters: tuple[str, ...] = (sys.executable,)) -> tuple[str, ...]:
    """Writes the archive, compiled for these interpreters; others use its source. Returns their tags."""
    pythons = {_tag(python): python for python in interpreters}
    tags = tuple(sorted(pythons))
    os.makedirs(os.path.dirname(os.path.abspath(target)), exist_ok=True)
    aside = f"{target}.new"
    with open(aside, "wb") as file:
        file.write(SHEBANG)
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            _add(archive, "__main__.py", MAIN.replace("TAGS", repr(tags)).encode())
            for tag in tags:
                items = [f"{name}={path}" for name, path in modules().items()]
                _add(archive, tag, _output(pythons[tag], COMPILE, *items))
            for name, path in modules().items():
                with open(path, "rb") as source:
                    _add(archive, f"source/{name}", source.read())
    os.chmod(aside, 0o755)  # noqa: S103 - a program for everybody
    os.rename(aside, target)
    return tags


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    """The same bytes whenever it is built."""
    entry = zipfile.ZipInfo(name, EPOCH)
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, data)


def _tag(python: str) -> str:
    return _output(python, "import sys; print(end=sys.implementation.cache_tag)").decode()


def _output(python: str, code: str, *arguments: str) -> bytes:
    command = [python, "-I", "-S", "-c", code, *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout


if __name__ == "__main__":
    build(sys.argv[1], tuple(sys.argv[2:]) or (sys.executable,))
