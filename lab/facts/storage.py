"""Facts about file systems and memory."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from lab.facts.fact import Fact, FactError, require_success


@dataclass(frozen=True)
class Mount:
    """One mounted file system; sizes in bytes, 0 if the kernel reports none."""

    target: str
    source: str
    fstype: str
    options: tuple[str, ...]
    size: int
    used: int


@dataclass(frozen=True)
class Memory:
    """The output of `free`, in bytes."""

    total: int
    used: int
    shared: int  # files in memory, mostly
    available: int
    swap_total: int
    swap_used: int


@dataclass(frozen=True)
class Partition:
    """One partition of a disk; start, end (not included) and size in bytes."""

    number: int
    start: int
    end: int
    fstype: str
    name: str
    flags: tuple[str, ...]

    @property
    def size(self) -> int:
        """Its size."""
        return self.end - self.start


@dataclass(frozen=True)
class Table:
    """The partition table of a disk."""

    size: int
    kind: str  # gpt, msdos …
    partitions: tuple[Partition, ...]


def partitions(disk: str) -> Fact[Table]:
    """The partition table of a disk; the fact raises a FactError if there is no disk or no table."""
    command = f"parted -sm {shlex.quote(disk)} unit B print"

    def parse(status: int, output: str) -> Table:
        require_success(command, status, output)
        lines = output.strip().splitlines()
        if "BYT;" not in lines:
            raise FactError(f"`{command}` shows no table", status, output)
        head, *rows = (line.rstrip(";").split(":") for line in lines[lines.index("BYT;") + 1 :])
        return Table(_bytes(head[1]), head[5], tuple(map(_partition, rows)))

    return Fact(command, parse)


def _bytes(word: str) -> int:
    return int(word.removesuffix("B"))


def _partition(fields: list[str]) -> Partition:
    number, start, end, _, fstype, name, flags = fields
    return Partition(
        int(number), _bytes(start), _bytes(end) + 1, fstype, name, tuple(flags.replace(",", " ").split())
    )


def made(device: str) -> Fact[int]:
    """When the ext file system on a device was made, in seconds since 1970."""
    command = (
        f"dumpe2fs -h {shlex.quote(device)} 2>/dev/null | sed -n 's/^Filesystem created: *//p'"
        " | date -f - +%s"
    )

    def parse(status: int, output: str) -> int:
        require_success(command, status, output)
        if not output.strip().isdigit():
            raise FactError(f"there is no ext file system on {device}", status, output)
        return int(output)

    return Fact(command, parse)


def mount(path: str) -> Fact[Mount]:
    """The mounted file system that holds a path, from the kernel and not from fstab."""
    command = f"findmnt -bnPo TARGET,SOURCE,FSTYPE,OPTIONS,SIZE,USED -T {shlex.quote(path)}"

    def parse(status: int, output: str) -> Mount:
        require_success(command, status, output)
        lines = output.strip().splitlines()
        if not lines:
            raise FactError(f"`{command}` shows no mount", status, output)
        return _mount(lines[-1])  # the last one covers the others

    return Fact(command, parse)


def _mount(line: str) -> Mount:
    try:
        found = dict(part.split("=", 1) for part in shlex.split(line))
        return Mount(
            target=found["TARGET"],
            source=found["SOURCE"],
            fstype=found["FSTYPE"],
            options=tuple(found["OPTIONS"].split(",")),
            size=int(found["SIZE"] or 0),
            used=int(found["USED"] or 0),
        )
    except (ValueError, KeyError) as problem:
        raise FactError('`findmnt` printed a line that does not consist of KEY="value"', 0, line) from problem


def _mounts(status: int, output: str) -> tuple[Mount, ...]:
    require_success("findmnt", status, output)
    return tuple(_mount(line) for line in output.splitlines() if line.strip())


def _memory(status: int, output: str) -> Memory:
    require_success("free -b", status, output)
    rows = {line.split(":")[0]: line.split()[1:] for line in output.splitlines() if ":" in line}
    try:
        ram, swap = rows["Mem"], rows["Swap"]
        return Memory(int(ram[0]), int(ram[1]), int(ram[3]), int(ram[5]), int(swap[0]), int(swap[1]))
    except (KeyError, IndexError, ValueError) as problem:
        raise FactError("`free -b` printed no Mem and Swap lines", status, output) from problem


mounts: Fact[tuple[Mount, ...]] = Fact(
    "findmnt -bnPo TARGET,SOURCE,FSTYPE,OPTIONS,SIZE,USED --kernel", _mounts
)
memory: Fact[Memory] = Fact("free -b", _memory)
