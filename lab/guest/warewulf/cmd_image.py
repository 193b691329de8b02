"""wwsh vnfs and wwsh bootstrap: the images that nodes boot from."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from lab.guest.warewulf import bootstraps, images, truth
from lab.guest.warewulf.lookup import select
from lab.guest.warewulf.model import UNDEF, Kind, Record, cleared
from lab.guest.warewulf.options import Option, Parsed, parse
from lab.guest.warewulf.session import Session, change_line

VNFS_HELP = """USAGE: wwsh vnfs COMMAND [options] [name ...]

Commands:
   import       PATH: import an image file into the data store
   export       NAME PATH: write an image to a file
   set          change name, architecture, chroot
   list, print  show one line per VNFS
   delete       delete VNFS images
   help         show this text

Options:
   -l, --lookup FIELD   field that the names on the line refer to (default: name)
   -n, --name NAME  -a, --arch ARCH  -c, --chroot PATH
   -1                   with list: print names only, one per line

wwvnfs creates VNFS images from a chroot."""

BOOTSTRAP_HELP = """USAGE: wwsh bootstrap COMMAND [options] [name ...]

Commands:
   import         PATH: import a bootstrap that wwbootstrap wrote to a file
   export         NAME PATH: write a bootstrap to a file
   set            change name, architecture
   list, print    show one line per bootstrap
   build          rewrite the files that nodes boot from (also: rebuild)
   delete         delete bootstraps
   help           show this text

Options:
   -l, --lookup FIELD   field that the names on the line refer to (default: name)
   -n, --name NAME  -a, --arch ARCH  -u, --ucode 0|1
   -1                   with list: print names only, one per line"""

SHARED_OPTIONS = (
    Option("lookup", ("lookup", "l")),
    Option("name", ("name", "n")),
    Option("arch", ("arch", "a")),
    Option("one", ("1",), flag=True),
)
ARCH = re.compile(r"^[A-Za-z0-9_]+$")
"""The pattern of Vnfs.pm and Bootstrap.pm (arch)."""
MEGABYTE = 1024 * 1024

Command = Callable[["list[Record]"], bool]


def vnfs(session: Session, words: Sequence[str]) -> bool:
    """Module vnfs: root file systems of nodes."""
    return _VnfsCommands(session, words).run()


def bootstrap(session: Session, words: Sequence[str]) -> bool:
    """Module bootstrap: kernels and initial file systems of nodes."""
    return _BootstrapCommands(session, words).run()


class _ImageCommands:
    """The commands that both kinds of image share; subclasses say where the files are and what they hold."""

    kind: ClassVar[Kind]
    noun: ClassVar[str]
    suffix: ClassVar[str]
    help: ClassVar[str]
    options: ClassVar[Sequence[Option]]
    settable: ClassVar[Sequence[str]]
    heads: ClassVar[Sequence[str]]
    columns: ClassVar[str]
    shapes: ClassVar[Mapping[str, re.Pattern[str]]] = {}

    def __init__(self, session: Session, words: Sequence[str]) -> None:
        self.session = session
        self.system = session.system
        self.parsed: Parsed = parse(self.options, words, self.session.warning)

    def run(self) -> bool:
        """Runs the command that the line names."""
        session, parsed = self.session, self.parsed
        if not parsed.words or parsed.words[0] == "help":
            session.row(self.help)
            return bool(parsed.words)
        name, targets = parsed.words[0], parsed.words[1:]
        wrong = self.wrong()
        if wrong:
            return session.error(wrong)
        if name in ("import", "export"):
            return (self._import if name == "import" else self._export)(targets)
        commands = self.commands()
        if name not in commands:
            return session.error(f"Unknown command: {name}\nhint: wwsh {self.kind.value} help")
        if not targets and name in ("set", "delete"):
            return session.error(f"To {name} a {self.noun}, you must provide its name.")
        records = select(session.store.records(self.kind), targets, parsed.one("lookup", "name"))
        return commands[name](records) if records else self.none_found()

    def commands(self) -> dict[str, Command]:
        """The commands that work on stored images, by name."""
        return {"set": self._set, "list": self._list, "print": self._list, "delete": self._delete}

    def _import(self, targets: Sequence[str]) -> bool:
        if not targets or (len(targets) > 1 and self.parsed.has("name")):
            return self.session.error(f"USAGE: wwsh {self.kind.value} import PATH ... [--name=NAME]")
        return all([self._import_one(path) for path in targets])

    def _import_one(self, path: str) -> bool:
        name = self.parsed.one("name") or os.path.basename(path).removesuffix(self.suffix)
        self.check_name(name)
        if not self.system.is_file(path):
            return self.session.error(f'"{path}" not found -- No such file or directory')
        known = self.session.store.named(self.kind, name)
        if known is not None and not self.session.may_overwrite(name):
            return False
        # Cli/Bootstrap.pm: an image that is replaced keeps its architecture, unless the line names another.
        before = known.one("ARCH") if known is not None else ""
        self.load(path, name, self.parsed.one("arch") or before or os.uname().machine)
        return True

    def _export(self, targets: Sequence[str]) -> bool:
        if len(targets) != 2:
            return self.session.error(f"USAGE: wwsh {self.kind.value} export NAME PATH")
        target = targets[1]
        found = select(self.session.store.records(self.kind), targets[:1], self.parsed.one("lookup", "name"))
        if not found:
            return self.none_found()
        record, name = found[0], found[0].name
        path = os.path.join(target, f"{name}{self.suffix}") if self.system.is_dir(target) else target
        question = f"Do you wish to overwrite this file: {path}?"
        if self.system.exists(path) and not self.session.ask(question, "Yes/No> "):
            self.session.row(f"Not exporting '{name}'")
            return False
        self.save(record, path)
        return True

    def _set(self, records: list[Record]) -> bool:
        values = self.values()
        if not values:
            hint = f"hint: wwsh {self.kind.value} help"
            return self.session.error(f"To change a {self.noun}, you must say what to change\n{hint}")
        name = values.get("NAME")
        if name and len(records) > 1:
            return self.session.error(f"Can not rename more then 1 {self.noun} at a time!")
        other = self.session.store.named(self.kind, name) if name else None
        if other is not None and other.id != records[0].id:
            return self.session.error(f"{self.noun[0].upper()}{self.noun[1:]} '{name}' already exists")
        lines = [change_line(*(("SET", k, v) if v else ("UNDEF", k))) for k, v in values.items()]
        if not self.session.proceed(len(records), f"{self.noun}(s)", lines):
            return False
        self.change(records, values)
        self.session.changed()
        return True

    def _delete(self, records: list[Record]) -> bool:
        kind = self.kind.value.upper()
        lines = [change_line("DEL", f"{kind} {record.name}").rstrip() for record in records]
        if not self.session.proceed(len(records), f"{self.noun}(s)", lines):
            return False
        self.session.store.delete_referenced(records, f"{kind}ID")
        for record in records:
            self.remove_files(record)
        self.session.changed()
        return True

    def _list(self, records: list[Record]) -> bool:
        if self.parsed.has("one"):
            for record in records:
                self.session.row(record.name)
            return True
        self.session.notice(self.columns.format(*self.heads))
        for record in records:
            size = f"{int(record.one('SIZE', '0')) / MEGABYTE:.1f}"
            values = record.name, size, record.one("ARCH", UNDEF), record.one("CHROOT", UNDEF)
            self.session.row(self.columns.format(*values))  # str.format drops what has no column
        return True

    def values(self) -> dict[str, str]:
        """The keys that the options set; an empty string clears a key."""
        given = [key for key in self.settable if self.parsed.has(key)]
        return {key.upper(): "" if cleared(self.parsed.one(key)) else self.parsed.one(key) for key in given}

    def wrong(self) -> str:
        """The message for the first option with an invalid value, in Warewulf's words; or empty."""
        if self.parsed.has("name") and cleared(self.parsed.one("name")):
            return f"You must define the name you wish to reference the {self.noun} as!"
        for key, shape in self.shapes.items():
            value = self.parsed.one(key)
            if self.parsed.has(key) and not cleared(value) and not shape.match(value):
                return f"Option '{key}' has invalid characters"
        return ""

    # What differs

    def none_found(self) -> bool:
        """Says that no image matches; returns False."""
        raise NotImplementedError

    def check_name(self, name: str) -> None:
        """Raises WarewulfError when an image cannot have this name."""
        raise NotImplementedError

    def load(self, path: str, name: str, arch: str) -> None:
        """Stores a file as the image of that name."""
        raise NotImplementedError

    def save(self, record: Record, path: str) -> None:
        """Writes an image to a file."""
        raise NotImplementedError

    def change(self, records: list[Record], values: dict[str, str]) -> None:
        """Changes keys of images and moves their files along."""
        raise NotImplementedError

    def remove_files(self, record: Record) -> None:
        """Removes the files of a deleted image."""
        raise NotImplementedError


class _VnfsCommands(_ImageCommands):
    kind = Kind.VNFS
    noun = "VNFS"
    suffix = ".vnfs"
    help = VNFS_HELP
    options = (*SHARED_OPTIONS, Option("chroot", ("chroot", "c")))
    settable = ("name", "arch", "chroot")
    heads = ("VNFS NAME", "SIZE (M)", "ARCH", "CHROOT LOCATION")
    columns = "{:<20} {:<10} {:<10} {}"
    shapes: ClassVar[Mapping[str, re.Pattern[str]]] = {
        "name": images.NAME,
        "arch": ARCH,
        "chroot": re.compile(r"^[A-Za-z0-9/._-]+$"),
    }

    def wrong(self) -> str:
        chroot = self.parsed.one("chroot")
        problem = super().wrong()
        if not problem and chroot and not cleared(chroot) and not self.system.is_dir(chroot):
            return f"Chroot directory '{chroot}' does not exist"
        return problem

    def none_found(self) -> bool:
        return self.session.error("No VNFS images found")

    def check_name(self, name: str) -> None:
        images.folder(name)

    def load(self, path: str, name: str, arch: str) -> None:
        checksum, size = images.take(self.system, path, name)
        values = {"ARCH": arch, "CHECKSUM": checksum, "SIZE": str(size)}
        if self.parsed.has("chroot"):
            values["CHROOT"] = self.values()["CHROOT"]
        images.prune(self.system, images.describe(self.session.store, name, values))
        self.session.row(f"VNFS '{name}' has been imported")

    def save(self, record: Record, path: str) -> None:
        images.copy(self.system, record, path)

    def change(self, records: list[Record], values: dict[str, str]) -> None:
        name = values.get("NAME")
        for old in records:
            if name:
                os.rename(self.system.path(images.folder(old.name)), self.system.path(images.folder(name)))
            images.describe(self.session.store, old.name, values)

    def remove_files(self, record: Record) -> None:
        self.system.remove_tree(images.folder(record.name))


class _BootstrapCommands(_ImageCommands):
    kind = Kind.BOOTSTRAP
    noun = "bootstrap"
    suffix = ".wwbs"
    help = BOOTSTRAP_HELP
    options = (*SHARED_OPTIONS, Option("ucode", ("ucode", "u")))
    settable = ("name", "arch", "ucode")
    heads = ("BOOTSTRAP NAME", "SIZE (M)", "ARCH")
    columns = "{:<25} {:<13} {}"
    shapes: ClassVar[Mapping[str, re.Pattern[str]]] = {
        "name": bootstraps.NAME,
        "arch": ARCH,
    }

    def values(self) -> dict[str, str]:
        values = super().values()
        if values.get("UCODE"):
            values["UCODE"] = "1" if truth.ucode(values["UCODE"]) else ""
        return values

    def wrong(self) -> str:
        ucode = self.parsed.one("ucode")
        if ucode and not cleared(ucode) and truth.ucode(ucode) is None:
            return "Argument to ucode is not valid"
        return super().wrong()

    def commands(self) -> dict[str, Command]:
        return {**super().commands(), "build": self._build, "rebuild": self._build}

    def none_found(self) -> bool:
        self.session.warning("No bootstrap images found")
        return False

    def check_name(self, name: str) -> None:
        bootstraps.check_name(name)

    def load(self, path: str, name: str, arch: str) -> None:
        # --ucode has no effect: bootstraps of the lab carry no microcode.
        record = bootstraps.keep(self.system, self.session.store, name, self.system.read(path), arch)
        bootstraps.build(self.system, record, self.session.row)
        self.session.changed()

    def save(self, record: Record, path: str) -> None:
        self.system.write(path, bootstraps.content(self.system, record))

    def change(self, records: list[Record], values: dict[str, str]) -> None:
        changed: list[Record] = []
        with self.session.store.transaction():
            for record in records:
                for key, value in values.items():
                    record = record.put(key, value)  # noqa: PLW2901 (the same object, changed)
                changed.append(self.session.store.put(record))
        for old, new in zip(records, changed):
            if bootstraps.folder(old) != bootstraps.folder(new):
                self.system.remove_tree(bootstraps.folder(old))
                bootstraps.build(self.system, new, self.session.info)

    def remove_files(self, record: Record) -> None:
        bootstraps.remove(self.system, record)

    def _build(self, records: list[Record]) -> bool:
        if not self.system.is_root:
            return self.session.error("Only root can build bootstraps\nhint: use sudo")
        for record in records:
            bootstraps.build(self.system, record, self.session.row)
        return True
