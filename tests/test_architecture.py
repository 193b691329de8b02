"""House rules that import-linter and ruff cannot state, read from the source with `ast`."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

FUNCTION_LINES = 50
MODULE_LINES = 400
BANNED_NAMES = ("utils", "helpers", "common", "misc")

# Text that a fact sends to the SMS, where it runs as a program of its own.
SENT = ("lab.facts.hub_settings", "lab.facts.provisioned")

# They hold the other end of a running program's streams; `lab.process` runs programs to their end.
AT_THE_OTHER_END = ("lab.foreground", "lab.nodes.copying")

# Programs that are useful alone or in an image, and what packs them.
OUTSIDE_THE_HARNESS = (
    "lab.rollout.programs",
    "lab.slurm_jupyter",
    "lab.slurm_token.openssl",
    "lab.standalone",
)

# What may be imported only behind one door. A door covers the modules below it.
DOORS = {
    "docker": ("lab.backends",),
    "libvirt": ("lab.backends",),
    "pexpect": ("lab.nodes.child",),
    "subprocess": ("lab.process", *AT_THE_OTHER_END, "lab.guest.system", *OUTSIDE_THE_HARNESS, *SENT),
    "sqlite3": ("lab.guest.warewulf",),
    "starlette": ("lab.web", "lab.cli.web"),
    "uvicorn": ("lab.web.server", "lab.cli.web"),
}

PURE_SIPHON = "errors fetch.completeness fetch.hostlist fetch.negotiation protocol publish.names".split()
PURE_ROLLOUT = "errors planning settings slurm.parse storage.encoding".split()
PURE = (
    "lab.errors",
    "lab.model",
    "lab.facts",
    *(f"lab.siphon.{name}" for name in PURE_SIPHON),
    *(f"lab.rollout.{name}" for name in PURE_ROLLOUT),
)
IMPURE = ("os", "pathlib", "pexpect", "shutil", "signal", "socket", "subprocess", "sys", "tempfile", "time")

# A check crashes or hangs by its author's mistake; the others must still be judged. A learner's
# configuration of the Hub may raise anything.
CATCH_ALL = (
    "lab.cli",
    "lab.checks.runner",
    "lab.facts.hub_settings",
    "lab.guest",
    "lab.rollout.cli",
    "lab.siphon.cli",
    "lab.slurm_token.cli",
    "lab.web.threads",  # whoever waits for the thread gets it
)

CHECK_MAY_IMPORT = ("lab.checks", "lab.facts")
CHECK_MAY_NOT = (*IMPURE, "docker", "importlib", "libvirt", "requests", "threading", "urllib")


@dataclass(frozen=True)
class Source:
    """One Python file of ours: its dotted name and its text."""

    name: str
    text: str

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    def within(self, *modules: str) -> bool:
        return any(self.name == module or self.name.startswith(f"{module}.") for module in modules)

    def imports(self) -> Iterator[str]:
        """Dotted names this file imports, wherever in it."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield node.module
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


Rule = Callable[[Source], list[str]]


def covers(module: str, name: str) -> bool:
    return name == module or name.startswith(f"{module}.")


def called(node: ast.AST) -> str:
    """`a.b` for the call a.b(…), else an empty string."""
    return ast.unparse(node.func) if isinstance(node, ast.Call) else ""


def behind_doors(source: Source) -> list[str]:
    """A library with one door is imported nowhere else."""
    return [
        f"imports {name}: only {' and '.join(doors)} may"
        for name in sorted(set(source.imports()))
        for library, doors in DOORS.items()
        if name == library and not source.within(*doors)
    ]


def pure_modules(source: Source) -> list[str]:
    """Modules that only compute import nothing that reaches outside."""
    if not source.within(*PURE) or source.within(*SENT):
        return []
    return [f"is pure and imports {name}" for name in sorted(set(source.imports())) if name in IMPURE]


def only_the_command_line_talks(source: Source) -> list[str]:
    """In the harness nobody but `lab.cli` prints, exits or reads the arguments."""
    if source.within("lab.cli", "lab.guest", *COMMANDS_ALONE, "lab.standalone", *PROGRAMS, *SENT):
        return []
    found = [f"calls {name}()" for node in ast.walk(source.tree) if (name := called(node)) in TALK]
    return found + [
        "reads sys.argv"
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "sys.argv"
    ]


COMMANDS_ALONE = (
    "lab.rollout.cli",
    "lab.siphon.cli",
    "lab.slurm_hub",
    "lab.slurm_jupyter.start",
    "lab.slurm_token.cli",
)

# Programs that the harness starts as processes of their own.
PROGRAMS = ("lab.backends.libvirt.programs",)
TALK = ("print", "input", "exit", "quit", "sys.exit", "os._exit")


def only_wait_sleeps(source: Source) -> list[str]:
    """The harness's only sleep is in `lab.polling`."""
    if source.within("lab.polling", "lab.guest"):
        return []
    found = [f"calls {called(node)}()" for node in ast.walk(source.tree) if called(node) == "time.sleep"]
    return found + ["imports time.sleep" for name in source.imports() if name == "time.sleep"]


def only_the_outermost_catches_all(source: Source) -> list[str]:
    """`except Exception` hides bugs; each place that may is named above with its reason."""
    if source.within(*CATCH_ALL):
        return []
    return [
        f"line {node.lineno}: catches everything"
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in ("Exception", "BaseException"))
        and not passes_on(node)
    ]


def passes_on(handler: ast.ExceptHandler) -> bool:
    """Whether it only tidies up: its last statement raises the same exception again."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def no_state_in_modules(source: Source) -> list[str]:
    """No `global`, and no mutable value under a lower-case name at module level."""
    found = [f"line {n.lineno}: global" for n in ast.walk(source.tree) if isinstance(n, ast.Global)]
    for node in source.tree.body:
        if not isinstance(node, ast.Assign | ast.AnnAssign):
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        mutable = isinstance(node.value, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp)
        found += [
            f"line {node.lineno}: mutable {target.id}"
            for target in targets
            if mutable and isinstance(target, ast.Name) and target.id.islower() and target.id != "__all__"
        ]
    return found


def dataclasses_are_frozen(source: Source) -> list[str]:
    """What crosses a module border cannot be changed behind our back."""
    if source.within("lab.guest"):
        return []
    return [
        f"line {node.lineno}: dataclass {node.name} is not frozen"
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ClassDef)
        for mark in node.decorator_list
        if "dataclass" in ast.unparse(mark).split("(")[0] and "frozen=True" not in ast.unparse(mark)
        if not node.name.startswith("_")
    ]


def sizes(source: Source) -> list[str]:
    """Functions of at most 50 lines in modules of at most 400."""
    lines = len(source.text.splitlines())
    found = [f"has {lines} lines, more than {MODULE_LINES}"] if lines > MODULE_LINES else []
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES:
                found.append(
                    f"line {node.lineno}: {node.name} has {length} lines, more than {FUNCTION_LINES}"
                )
    return found


def opens_with_its_purpose(source: Source) -> list[str]:
    """A module's docstring begins with one to three lines; names say what a module is for."""
    found = [f"is called {word}" for word in source.name.split(".") if word in BANNED_NAMES]
    text = ast.get_docstring(source.tree)
    if source.text.strip() and text is None:
        found.append("has no docstring")
    elif text and len(text.split("\n\n", maxsplit=1)[0].splitlines()) > 3:
        found.append("opens with more than three lines")
    return found


def guest_is_an_island(source: Source) -> list[str]:
    """The guest needs only the standard library, the Slurm codec and what may be shown; nobody imports it."""
    allowed = ("lab.guest", "lab.siphon", "lab.printable", *sys.stdlib_module_names)
    if source.within("lab.guest"):
        return [
            f"imports {n}" for n in sorted(set(source.imports())) if not any(covers(m, n) for m in allowed)
        ]
    return [f"imports {name}" for name in source.imports() if covers("lab.guest", name)]


def checks_see_what_a_learner_sees(source: Source) -> list[str]:
    """A `check.py` looks at nodes through `lab.checks` and `lab.facts`, at nothing else."""
    if not source.name.startswith("exercises."):
        return []
    return [
        f"imports {name}"
        for name in sorted(set(source.imports()))
        if any(covers(module, name) for module in CHECK_MAY_NOT)
        or (covers("lab", name) and not any(covers(module, name) for module in CHECK_MAY_IMPORT))
    ]


RULES: tuple[Rule, ...] = (
    behind_doors,
    pure_modules,
    only_the_command_line_talks,
    only_wait_sleeps,
    only_the_outermost_catches_all,
    no_state_in_modules,
    dataclasses_are_frozen,
    sizes,
    opens_with_its_purpose,
    guest_is_an_island,
    checks_see_what_a_learner_sees,
)


def sources() -> list[Source]:
    files = [*ROOT.glob("lab/**/*.py"), *ROOT.glob("exercises/**/*.py")]
    # What lies in guest/files is laid out as in a node; it is no module of ours.
    kept = [path for path in files if "files" not in path.relative_to(ROOT).parts]
    return [
        Source(".".join(path.relative_to(ROOT).with_suffix("").parts), path.read_text(encoding="utf-8"))
        for path in sorted(kept)
    ]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule_holds_everywhere(rule: Rule) -> None:
    found = [f"{source.name} {finding}" for source in sources() for finding in rule(source)]
    assert not found, "\n".join([rule.__doc__ or rule.__name__, *found])


LONG = "def f():\n" + "    x = 1\n" * FUNCTION_LINES


@pytest.mark.parametrize(
    ("rule", "name", "text"),
    [
        (behind_doors, "lab.cluster.cluster", "def f():\n    import docker"),
        (behind_doors, "lab.checks.api", "from pexpect import spawn"),
        (pure_modules, "lab.facts.slurm", "import subprocess"),
        (pure_modules, "lab.model", "from os import path"),
        (only_the_command_line_talks, "lab.cluster.cluster", "def f():\n    print(1)"),
        (only_the_command_line_talks, "lab.process", "import sys\nsys.exit(1)"),
        (only_the_command_line_talks, "lab.process", "import sys\nx = sys.argv"),
        (only_wait_sleeps, "lab.cluster.cluster", "import time\ntime.sleep(1)"),
        (only_wait_sleeps, "lab.cluster.cluster", "from time import sleep"),
        (only_the_outermost_catches_all, "lab.process", "try:\n    pass\nexcept Exception:\n    pass"),
        (only_the_outermost_catches_all, "lab.process", "try:\n    pass\nexcept:\n    pass"),
        (no_state_in_modules, "lab.process", "cache = {}"),
        (no_state_in_modules, "lab.process", "cache: dict[str, str] = {}"),
        (no_state_in_modules, "lab.process", "def f():\n    global x"),
        (dataclasses_are_frozen, "lab.process", "@dataclass\nclass A: ..."),
        (dataclasses_are_frozen, "lab.process", "@dataclasses.dataclass(slots=True)\nclass A: ..."),
        (sizes, "lab.process", LONG),
        (sizes, "lab.process", "x = 1\n" * (MODULE_LINES + 1)),
        (opens_with_its_purpose, "lab.process", "x = 1"),
        (opens_with_its_purpose, "lab.utils", '"""Everything."""'),
        (opens_with_its_purpose, "lab.process", '"""One\ntwo\nthree\nfour."""'),
        (guest_is_an_island, "lab.guest.boot", "import click"),
        (guest_is_an_island, "lab.guest.boot", "from lab.model import Node"),
        (guest_is_an_island, "lab.images.bundle", "from lab.guest import main"),
        (checks_see_what_a_learner_sees, "exercises.x.check", "from lab.backends import base"),
        (checks_see_what_a_learner_sees, "exercises.x.check", "import subprocess"),
    ],
)
def test_rule_catches(rule: Rule, name: str, text: str) -> None:
    assert rule(Source(name, text))


@pytest.mark.parametrize(
    ("rule", "name", "text"),
    [
        (behind_doors, "lab.backends.docker", "import docker"),
        (behind_doors, "lab.cli.shell", "from lab.backends import docker"),
        (only_wait_sleeps, "lab.polling", "import time\ntime.sleep(1)"),
        (
            only_the_outermost_catches_all,
            "lab.process",
            "try:\n    f()\nexcept BaseException:\n    g()\n    raise",
        ),
        (no_state_in_modules, "lab.process", "LIMITS = {'a': 1}\n__all__ = []"),
        (guest_is_an_island, "lab.guest.boot", "import json\nfrom lab.siphon import errors"),
        (checks_see_what_a_learner_sees, "exercises.x.check", "import re\nfrom lab.checks import check"),
    ],
)
def test_rule_lets_pass(rule: Rule, name: str, text: str) -> None:
    assert rule(Source(name, text)) == []


def test_package_itself_imports_nothing() -> None:
    assert not list(Source("lab", (ROOT / "lab/__init__.py").read_text(encoding="utf-8")).imports())


def test_help_loads_nothing_heavy() -> None:
    """`lab --help` stays fast because it imports click and little else."""
    program = (
        "import sys\n"
        "sys.argv = ['lab', '--help']\n"
        "from lab.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "heavy = {'docker', 'hypothesis', 'jinja2', 'libvirt', 'pexpect', 'requests', 'rich', 'sqlite3'}\n"
        "print('LOADED', sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LAB_CONFIG": ""},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "LOADED []"
