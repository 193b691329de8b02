"""slurm.conf as its next reader understands it: what a controller will be told when it starts again.

The grammar is that of src/common/parse_config.c: keys in any case, `Include`, comments, lines that a
backslash continues, quoted values; of two equal keys the last counts. DEFAULT lines and defaults of
partitions are as in src/common/read_config.c.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from lab.facts.fact import Fact, require_success
from lab.facts.partitions import Queue, queue

PATH = "/etc/slurm/slurm.conf"
DEFAULTS = {
    "prioritydecayhalflife": "7-0",
    "prioritymaxage": "7-0",
    "prioritytype": "priority/multifactor",
    "schedulertype": "sched/backfill",
}
"""What a controller takes for a key without a line (src/common/read_config.h); keys that checks ask for."""
_DEEP = 9  # files that include each other stop here; Slurm would not start with them
_PAIR = re.compile(r"(?:^|(?<=\s))([A-Za-z0-9_.]+)\s*\+?=\s*(?:\"([^\"]*)\"|(\S+))")
_INCLUDE = re.compile(r"\s*include\s+(\S+)", re.IGNORECASE)
_COMMENT = re.compile(r"(?<!\\)#.*")

Record = Mapping[str, str]


@dataclass(frozen=True)
class SlurmConf:
    """What is in slurm.conf; keys are in lower case, values as they are written."""

    settings: Record
    partitions: Mapping[str, Record]  # by name, DEFAULT lines applied
    nodes: Mapping[str, Record]  # by name as it is written, e.g. `c[1-2]`; DEFAULT lines applied

    def setting(self, key: str) -> str:
        """A setting by its name in any case; Slurm's own default, or "", if there is no line."""
        return self.settings.get(key.lower(), DEFAULTS.get(key.lower(), ""))

    @property
    def queues(self) -> dict[str, Queue]:
        """The partitions by name, as a controller shows them that has read the file."""
        found = {name: queue(name, record) for name, record in self.partitions.items()}
        defaults = [name for name, one in found.items() if one.default]
        return {name: replace(one, default=name in defaults[-1:]) for name, one in found.items()}


def parse(read: Callable[[str], str], path: str = PATH) -> SlurmConf:
    """Reads slurm.conf and what it includes; `read` returns the text of a file."""
    settings: dict[str, str] = {}
    records: dict[str, dict[str, dict[str, str]]] = {"partitionname": {}, "nodename": {}}
    usual: dict[str, dict[str, str]] = {kind: {} for kind in records}
    for line in _lines(read, path):
        pairs = [(key.lower(), quoted or plain) for key, quoted, plain in _PAIR.findall(line)]
        kind, name = pairs[0] if pairs else ("", "")
        if kind not in records:
            settings.update(pairs)
        elif name.upper() == "DEFAULT":
            usual[kind].update(pairs[1:])
        else:
            records[kind].setdefault(name, {}).update(usual[kind] | dict(pairs[1:]))
    return SlurmConf(settings, records["partitionname"], records["nodename"])


def _lines(read: Callable[[str], str], path: str, depth: int = 0) -> Iterator[str]:
    whole = ""
    for raw in read(path).splitlines():
        line = whole + _COMMENT.sub("", raw)
        whole = line[:-1] if line.endswith("\\") else ""
        if whole:
            continue
        if not (included := _INCLUDE.match(line)):
            yield line.replace("\\#", "#")
        elif depth < _DEEP:
            place = included[1] if included[1].startswith("/") else f"{path.rpartition('/')[0]}/{included[1]}"
            yield from _lines(read, place, depth + 1)


def text(path: str) -> Fact[str]:
    """The text of a file that Slurm reads; "" if there is none, as Slurm says so itself."""
    command = f"cat {shlex.quote(path)}"

    def parse_text(status: int, output: str) -> str:
        if status != 0 and "No such file" in output:
            return ""
        require_success(command, status, output)
        return output

    return Fact(command, parse_text)
