"""What checks are written with: the decorator `check`, `failed`, and the four outcomes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import ModuleType

from lab.checks.cluster_view import ClusterView

CheckFunction = Callable[[ClusterView], None]


class Outcome(Enum):
    """The outcome of a check."""

    PASSED = "passed"
    FAILED = "failed"  # not solved yet
    BLOCKED = "blocked"  # something it depends on did not pass
    BROKEN = "broken"  # the lab or the check itself failed; never the learner's fault


@dataclass(frozen=True, eq=False)
class Check:
    """One statement that must hold; its sentence is the function's docstring."""

    name: str
    sentence: str
    step: str
    needs: tuple[Check, ...]
    settle: float  # seconds in which it may still come true
    timeout: float  # seconds: time limit of one run
    function: CheckFunction

    def __call__(self, cluster: ClusterView) -> None:
        """Runs the check once; raises `CheckFailedError` if the statement does not hold."""
        self.function(cluster)


@dataclass(frozen=True)
class Verdict:
    """The outcome of one check with its evidence, which may hold anything that a node printed."""

    check: str
    sentence: str
    step: str
    outcome: Outcome
    expected: str = ""
    actual: str = ""
    node: str = ""
    look: str = ""
    hint: str = ""
    because: tuple[str, ...] = ()  # names of the checks that block it
    seconds: float = 0.0
    trace: str = ""  # traceback; shown only with LAB_DEBUG=1


class CheckFailedError(Exception):
    """The statement of a check does not hold; the attributes say why."""

    def __init__(
        self,
        *,
        expected: str,
        actual: str,
        hint: str = "",
        node: str = "",
        look: str = "",
        final: bool = False,
    ) -> None:
        super().__init__(f"expected {expected}, found {actual}")
        self.expected = expected
        self.actual = actual
        self.hint = hint
        self.node = node
        self.look = look
        self.final = final


def failed(
    *,
    expected: object,
    actual: object,
    hint: str = "",
    node: str = "",
    look: str = "",
    final: bool = False,
) -> CheckFailedError:
    """Makes the exception to raise if a statement does not hold.

    `look` is a command with which the learner can see it; `final` says that waiting cannot help.
    """
    return CheckFailedError(
        expected=as_text(expected), actual=as_text(actual), hint=hint, node=node, look=look, final=final
    )


def as_text(value: object) -> str:
    """Writes a value for people: mappings and lists without brackets and quotes."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {as_text(item)}" for key, item in value.items()) or "nothing"
    if isinstance(value, Enum):
        return str(value.value)
    if not isinstance(value, (str, bytes)) and isinstance(value, Iterable):
        return ", ".join(as_text(item) for item in value) or "nothing"
    if value is None or value == "":
        return "nothing"
    return str(value)


def check(
    *, step: str, needs: Iterable[Check] = (), settle: float = 0.0, timeout: float = 20.0
) -> Callable[[CheckFunction], Check]:
    """Makes a check of a function that returns if its docstring is true, else raises `failed(…)`.

    `needs` are checks defined above it; if one of them does not pass, this check is blocked. With
    `settle`, the check is repeated until it passes or that many seconds have gone by.
    """

    def decorate(function: CheckFunction) -> Check:
        sentence = " ".join((inspect.getdoc(function) or "").split("\n\n")[0].split())
        if not sentence:
            raise TypeError(
                f"check {function.__name__} has no docstring, which is the sentence that learners read"
            )
        return Check(function.__name__, sentence, step, tuple(needs), settle, timeout, function)

    return decorate


def collect(module: ModuleType) -> tuple[Check, ...]:
    """Returns the checks that a module defines, in the order of their definition."""
    found = (value for value in vars(module).values() if isinstance(value, Check))
    own = [item for item in found if item.function.__module__ == module.__name__]
    return tuple(dict.fromkeys(own))
