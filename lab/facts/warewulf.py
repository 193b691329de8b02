"""Facts about Warewulf on the SMS, from the output of `wwsh`."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass

from lab.facts.fact import Fact, FactError, require_success

_NOTHING = "UNDEF"  # wwsh prints this for a value that is not set
_TITLE = re.compile(r"^#### (\S+) #+$")
_FILE_ROW = re.compile(
    r"^(?P<name>\S+)\s*:\s+(?P<perms>[-bcdlps ][-rwxsStT]{9})\s+(?P<origins>\d+)\s+"
    r"(?P<user>\S+)\s+(?P<group>\S+)\s+(?P<size>\d+)\s+(?P<path>.*)$"
)


@dataclass(frozen=True)
class NodeRow:
    """A line of `wwsh node list`; wwsh truncates long values, `node_print` has complete ones."""

    name: str
    groups: str
    addresses: tuple[str, ...]
    macs: tuple[str, ...]


@dataclass(frozen=True)
class ProvisionRow:
    """A line of `wwsh provision list`; wwsh truncates long values."""

    name: str
    vnfs: str
    bootstrap: str
    files: str


@dataclass(frozen=True)
class FileRow:
    """A line of `wwsh file list`."""

    name: str
    perms: str
    origins: int
    user: str
    group: str
    size: int
    path: str


@dataclass(frozen=True)
class VnfsRow:
    """A line of `wwsh vnfs list`."""

    name: str
    size: float  # MB
    arch: str
    chroot: str


@dataclass(frozen=True)
class BootstrapRow:
    """A line of `wwsh bootstrap list`."""

    name: str
    size: float  # MB
    arch: str


@dataclass(frozen=True)
class Provision:
    """The provisioning settings of a node; "" or () if not set."""

    name: str
    vnfs: str
    bootstrap: str
    files: tuple[str, ...]
    kargs: str
    filesystem: str
    values: tuple[tuple[str, str], ...]  # every line as printed

    def value(self, key: str) -> str:
        """Returns the value of any line, "" if there is no such line."""
        return dict(self.values).get(key, "")


def _rows(command: str, status: int, output: str) -> list[str]:
    """Returns the lines below the header and its line of `=`; none if wwsh found nothing."""
    if status != 0 and "ERROR" in output:
        require_success(command, status, output)
    lines = output.splitlines()
    ruler = next((i for i, line in enumerate(lines) if line.startswith("=====")), -1)
    return [line for line in lines[ruler + 1 :] if line.strip()] if ruler >= 0 else []


def _listed(value: str) -> tuple[str, ...]:
    return () if value in ("", _NOTHING) else tuple(value.split(","))


def _plain(value: str) -> str:
    return "" if value == _NOTHING else value


def _node(name: str) -> str:
    """The node's own name of one that wwsh shows with cluster and domain; it holds no dot."""
    return name.partition(".")[0]


def _node_list(status: int, output: str) -> tuple[NodeRow, ...]:
    found = []
    for line in _rows("wwsh node list", status, output):
        name, groups, addresses, macs = _fields(line, 4, "wwsh node list")
        found.append(NodeRow(_node(name), _plain(groups), _listed(addresses), _listed(macs)))
    return tuple(found)


def _provision_list(status: int, output: str) -> tuple[ProvisionRow, ...]:
    found = []
    for line in _rows("wwsh provision list", status, output):
        name, vnfs, bootstrap, files = _fields(line, 4, "wwsh provision list")
        found.append(ProvisionRow(_node(name), _plain(vnfs), _plain(bootstrap), _plain(files)))
    return tuple(found)


def _fields(line: str, count: int, command: str) -> list[str]:
    fields = line.split(None, count - 1)
    if len(fields) != count:
        raise FactError(f"`{command}` printed a line that does not have {count} columns", 0, line)
    return [field.strip() for field in fields]


def _file_list(status: int, output: str) -> tuple[FileRow, ...]:
    found = []
    for line in output.splitlines():
        row = _FILE_ROW.match(line)
        if row is not None:
            found.append(
                FileRow(
                    row["name"],
                    row["perms"].strip(),
                    int(row["origins"]),
                    row["user"],
                    row["group"],
                    int(row["size"]),
                    _plain(row["path"].strip()),
                )
            )
        elif line.startswith("ERROR"):
            raise FactError("`wwsh file list` failed", status, output)
    return tuple(found)


def _vnfs_list(status: int, output: str) -> tuple[VnfsRow, ...]:
    del status  # not 0 if there is none
    rows = [_fields(line, 4, "wwsh vnfs list") for line in _table(output, "VNFS NAME")]
    return tuple(VnfsRow(name, float(size), arch, chroot) for name, size, arch, chroot in rows)


def _bootstrap_list(status: int, output: str) -> tuple[BootstrapRow, ...]:
    del status  # not 0 if there is none
    rows = [_fields(line, 3, "wwsh bootstrap list") for line in _table(output, "BOOTSTRAP NAME")]
    return tuple(BootstrapRow(name, float(size), arch) for name, size, arch in rows)


def _table(output: str, header: str) -> list[str]:
    lines = [line for line in output.splitlines() if line.strip() and not line.startswith("=====")]
    start = next((i for i, line in enumerate(lines) if line.startswith(header)), None)
    return [] if start is None else lines[start + 1 :]


def blocks(output: str) -> dict[str, dict[str, str]]:
    """Parses the `#### NAME ####` blocks of `print`, whose lines are `name: KEY = value`."""
    found: dict[str, dict[str, str]] = {}
    here: dict[str, str] = {}
    for line in output.splitlines():
        if title := _TITLE.match(line):
            here = found.setdefault(title.group(1), {})
        elif " = " in line and ":" in line:
            key, _, value = line.partition(":")[2].partition(" = ")
            here[key.strip()] = value.strip()
    return found


def _printed(command: str, name: str) -> Callable[[int, str], dict[str, str]]:
    def parse(status: int, output: str) -> dict[str, str]:
        found = {_node(title): block for title, block in blocks(output).items()}.get(name)
        if found is None:
            raise FactError(f"`{command}` shows no {name}", status, output)
        return {key: _plain(value) for key, value in found.items()}

    return parse


def node_print(name: str) -> Fact[dict[str, str]]:
    """All values of `wwsh node print NAME`, e.g. `eth0.HWADDR`; "" if not set."""
    command = f"wwsh node print {shlex.quote(name)}"
    return Fact(command, _printed(command, name))


def provision_print(name: str) -> Fact[Provision]:
    """The output of `wwsh provision print NAME`; the fact raises a FactError if there is no such node."""
    command = f"wwsh provision print {shlex.quote(name)}"
    read = _printed(command, name)

    def parse(status: int, output: str) -> Provision:
        found = read(status, output)
        return Provision(
            name=name,
            vnfs=found.get("VNFS", ""),
            bootstrap=found.get("BOOTSTRAP", ""),
            files=_listed(found.get("FILES", "")),
            kargs=found.get("KARGS", "").strip('"'),
            filesystem=found.get("FS", "").strip('"'),
            values=tuple(found.items()),
        )

    return Fact(command, parse)


node_list: Fact[tuple[NodeRow, ...]] = Fact("wwsh node list", _node_list)
provision_list: Fact[tuple[ProvisionRow, ...]] = Fact("wwsh provision list", _provision_list)
file_list: Fact[tuple[FileRow, ...]] = Fact("wwsh file list", _file_list)
vnfs_list: Fact[tuple[VnfsRow, ...]] = Fact("wwsh vnfs list", _vnfs_list)
bootstrap_list: Fact[tuple[BootstrapRow, ...]] = Fact("wwsh bootstrap list", _bootstrap_list)
