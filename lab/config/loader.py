"""Builds a specification from defaults, lab.toml, LAB_ variables and options, in this order."""

from __future__ import annotations

import copy
import re
import shlex
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lab.config.node_groups import EXTERNAL, INTERNAL, NodeGroup, expand, group_problems, node_group
from lab.config.schema import Problem, Schema, read_schema, schema_at, validate
from lab.config.subnets import parse_subnet
from lab.config.toml_lines import KeyPath, key_lines
from lab.errors import UsageError, did_you_mean
from lab.model import ClusterSpec, Network, Node, Role, Root, Trust

Table = dict[str, Any]

DEFAULTS: Mapping[str, Any] = {
    "lab": "lab",
    "backend": "docker",
    "root": "ram",
    "trust": "learner",
    "jupyter": False,
    "networks": {INTERNAL: {"subnet": "172.16.0.0/16"}, EXTERNAL: {"subnet": "203.0.113.0/24"}},
    "nodes": {
        "sms": {"role": "sms", "cpus": 2, "memory": 2048, "disk": 20},
        "login": {"role": "login", "registered": False},
        "c": {"role": "compute", "tag": "cpu", "count": 2},
        "g": {"role": "compute", "tag": "gpu", "count": 2},
        "outside": {"role": "outside", "cpus": 1, "memory": 256, "disk": 0},
        "client": {"role": "client", "cpus": 1, "memory": 256, "disk": 0},
        "runner": {"role": "runner", "count": 0, "cpus": 2, "memory": 2048, "disk": 0},
    },
}
_VARIABLES = {"LAB_NAME": "lab", "LAB_BACKEND": "backend"}


def load(path: Path | None, sets: Sequence[str], environ: Mapping[str, str], lab: str | None) -> ClusterSpec:
    """Builds the specification of a lab; raises one UsageError that lists every problem."""
    builder = _ConfigBuilder(read_schema())
    if path is not None:
        builder.add_file(path)
    for variable, key in _VARIABLES.items():
        if environ.get(variable):
            builder.put((key,), environ[variable], f"{variable}={environ[variable]}")
    builder.add_sets(_split_variable(environ.get("LAB_SET", ""), builder), "LAB_SET ")
    builder.add_sets(sets, "--set ")
    if lab is not None:
        builder.put(("lab",), lab, f"--lab {lab}")
    return builder.finish()


def read_key(path: Path | None, key: str) -> str | None:
    """Reads one top-level string of a lab.toml, for commands that need nothing else."""
    if path is None:
        return None
    value = _parse(path)[1].get(key)
    return value if isinstance(value, str) else None


class _ConfigBuilder:
    """Collects the values of the configuration and where each of them came from."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._tree: Table = copy.deepcopy(dict(DEFAULTS))
        self._origins: dict[KeyPath, str] = {}
        self._faults: list[str] = []

    def add_file(self, path: Path) -> None:
        text, table = _parse(path)
        lines = key_lines(text)
        self._origins |= {key: f"{path}:{line}" for key, line in lines.items()}
        _merge(self._tree, table)

    def add_sets(self, sets: Iterable[str], source: str) -> None:
        for setting in sets:
            name, equals, value = setting.partition("=")
            if not equals or not name:
                self.fault(f"{source}{setting}", "must be KEY=VALUE, such as c.count=8")
                continue
            path = self._set_path(name)
            if path is None:
                known = [*self._schema["properties"], *self._tree["nodes"]]
                first = name.partition(".")[0]
                self.fault(
                    f"{source}{setting}",
                    f"no key or node group {first}{did_you_mean(first, known, list_all=True)}",
                )
                continue
            self.put(path, self._typed(path, value), f"{source}{setting}")

    def put(self, path: KeyPath, value: object, origin: str) -> None:
        here = self._tree
        for part in path[:-1]:
            below = here.setdefault(part, {})
            if not isinstance(below, dict):
                self.fault(origin, f"{part} is not a table")
                return
            here = below
        here[path[-1]] = value
        self._origins[path] = origin

    def fault(self, origin: str, text: str) -> None:
        self._faults.append(f"{origin}: {text}")

    def finish(self) -> ClusterSpec:
        """Checks everything and builds the specification."""
        invalid: set[str] = set()
        for problem in list(validate(self._tree, self._schema, self._schema)):
            self._report(problem)
            self._repair(problem.path)
            if problem.path[0] == "nodes" and len(problem.path) > 1:
                invalid.add(problem.path[1])
        networks = self._networks()
        groups = self._groups(invalid)
        nodes: tuple[Node, ...] = ()
        if networks is not None:
            nodes, problems = expand(groups, networks)
            for problem in problems:
                self._report(problem)
        self._check_sms(groups, invalid)
        self._check_runner(groups)
        self._check_jupyter()
        if self._faults or networks is None:
            raise _refusal(self._faults)
        return ClusterSpec(
            lab=self._tree["lab"],
            backend=self._tree["backend"],
            networks=tuple(networks.values()),
            nodes=nodes,
            root=Root(self._tree["root"]),
            trust=Trust(self._tree["trust"]),
            jupyter=self._tree["jupyter"],
        )

    def _set_path(self, name: str) -> KeyPath | None:
        parts = tuple(name.split("."))
        if parts[0] == "network":
            parts = ("networks", *parts[1:])
        if parts[0] in self._schema["properties"]:
            return parts
        nodes = self._tree["nodes"]
        return ("nodes", *parts) if isinstance(nodes, dict) and parts[0] in nodes else None

    def _typed(self, path: KeyPath, text: str) -> object:
        schema = schema_at(path, self._schema)
        if schema is not None and schema["type"] == "string":
            return text
        try:
            return tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            return text

    def _origin(self, path: KeyPath) -> str:
        while path:
            if path in self._origins:
                return self._origins[path]
            path = path[:-1]
        return "built-in defaults"

    def _report(self, problem: Problem) -> None:
        self.fault(self._origin(problem.path), problem.text)

    def _repair(self, path: KeyPath) -> None:
        """Replaces an invalid value by its default, so that the rest can still be checked."""
        default: Any = DEFAULTS
        here: Any = self._tree
        for part in path[:-1]:
            default = default.get(part, {}) if isinstance(default, Mapping) else {}
            here = here.get(part) if isinstance(here, dict) else None
        if not isinstance(here, dict):
            return
        here.pop(path[-1], None)
        if isinstance(default, Mapping) and path[-1] in default:
            here[path[-1]] = copy.deepcopy(default[path[-1]])

    def _networks(self) -> dict[str, Network] | None:
        found: dict[str, Network] = {}
        for name, table in self._tree["networks"].items():
            path = ("networks", name, "subnet")
            try:
                found[name] = Network(name, parse_subnet(table["subnet"]))
            except ValueError as problem:
                self._report(Problem(path, f'networks.{name}.subnet = "{table["subnet"]}": {problem}'))
        if len(found) < len(self._tree["networks"]):
            return None
        if found[INTERNAL].subnet.overlaps(found[EXTERNAL].subnet):
            self._report(
                Problem(
                    ("networks", EXTERNAL, "subnet"),
                    f"networks.external.subnet = {found[EXTERNAL].subnet}: "
                    f"overlaps the internal network, {found[INTERNAL].subnet}",
                )
            )
        return found

    def _groups(self, invalid: set[str]) -> list[NodeGroup]:
        found: list[NodeGroup] = []
        index = 0
        for name, table in self._tree["nodes"].items():
            index += table.get("role", "compute") == "compute" if isinstance(table, dict) else 0
            if name in invalid:
                continue
            one = node_group(name, index, table)
            problems = list(group_problems(one, table))
            for problem in problems:
                self._report(problem)
            if problems:
                invalid.add(name)
            else:
                found.append(one)
        return found

    def _check_sms(self, groups: Sequence[NodeGroup], invalid: set[str]) -> None:
        heads = [one.name for one in groups if one.role is Role.SMS]
        if len(heads) > 1:
            path = ("nodes", heads[-1], "role")
            self._report(Problem(path, f"a lab has exactly one SMS; this one has {', '.join(heads)}"))
        elif not heads and not invalid:
            self._report(Problem(("nodes", "sms", "role"), 'a lab needs a node with role = "sms"'))

    def _check_runner(self, groups: Sequence[NodeGroup]) -> None:
        """A runner needs containers with their usual trust: its image and systemd-nspawn are for these."""
        runners = [one.name for one in groups if one.role is Role.RUNNER and one.names]
        if len(runners) > 1:
            path = ("nodes", runners[-1], "role")
            self._report(Problem(path, f"a lab has at most one runner; this one has {', '.join(runners)}"))
        for key, only in (("backend", "docker"), ("trust", "learner")) if runners else ():
            if self._tree[key] != only:
                words = (
                    f'nodes.{runners[0]}: a runner needs {key} = "{only}"; this lab has "{self._tree[key]}"'
                )
                self._report(Problem(("nodes", runners[0], "count"), words))

    def _check_jupyter(self) -> None:
        """The SMS's image with this software is for the usual trust: nobody has made the other one."""
        if self._tree["jupyter"] and self._tree["trust"] != "learner":
            words = f'jupyter = true needs trust = "learner"; this lab has "{self._tree["trust"]}"'
            self._report(Problem(("jupyter",), words))


def _parse(path: Path) -> tuple[str, Table]:
    try:
        text = path.read_text(encoding="utf-8")
        return text, tomllib.loads(text)
    except OSError as problem:
        raise UsageError(
            f"cannot read {path}", evidence=str(problem.strerror), hint=f"ls -ld {path.parent} {path}"
        ) from problem
    except UnicodeDecodeError as problem:
        line = problem.object[: problem.start].count(b"\n") + 1
        raise UsageError(
            f"{path} is not UTF-8 text",
            evidence=f"{path}:{line}: byte {problem.object[problem.start]:#04x}",
            hint=f"iconv -f latin1 -t utf-8 {path} >NEW, if it was written so",
        ) from problem
    except tomllib.TOMLDecodeError as problem:
        raise UsageError(
            f"{path} is not valid TOML",
            evidence=_shown_line(path, text, str(problem)),
            hint="compare with lab.toml.example: strings need quotes, tables begin with [name]",
        ) from problem


def _shown_line(path: Path, text: str, problem: str) -> str:
    """A problem of tomllib's (which ends in "at line 3, column 5"), with the line itself."""
    found = re.search(r" \(at line (\d+), column \d+\)$", problem)
    if found is None:
        return problem
    number = int(found[1])
    line = text.split("\n")[number - 1].strip()
    return f"{path}:{number}: {problem[: found.start()]}\n{line}".rstrip()


def _merge(below: Table, above: Mapping[str, Any]) -> None:
    for key, value in above.items():
        if isinstance(value, dict) and isinstance(below.get(key), dict):
            _merge(below[key], value)
        else:
            below[key] = value


def _split_variable(text: str, builder: _ConfigBuilder) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as problem:
        builder.fault(f"LAB_SET={text}", str(problem).lower())
        return []


def _refusal(faults: Sequence[str]) -> UsageError:
    count = len(faults)
    return UsageError(
        f"the configuration has {'a problem' if count == 1 else f'{count} problems'}",
        evidence="\n".join(faults),
        hint="lab validate --schema prints all keys with their meaning",
    )
