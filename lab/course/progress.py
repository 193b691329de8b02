"""Stores the learner's progress in one JSON file per user, written atomically, with one earlier copy."""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lab.errors import LabError
from lab.paths import private_folder
from lab.system_errors import writing

SCHEMA = 1
FILE_NAME = "progress.json"
COLUMNS = (
    "lab",
    "exercise",
    "state",
    "started",
    "solved",
    "last_check",
    "checks_run",
    "steps_solved",
    "hints_taken",
    "solution_shown",
)


@dataclass(frozen=True)
class ExerciseProgress:
    """Progress in one exercise of one lab; times are ISO 8601 in UTC, or empty."""

    started: str = ""
    last_check: str = ""
    solved: str = ""  # when all checks first held, unless the solution was shown
    checks_run: int = 0
    hints: Mapping[str, int] = field(default_factory=dict)  # step: number of hints shown
    steps: Mapping[str, str] = field(default_factory=dict)  # step: when all its checks first held
    solution_shown: bool = False

    @property
    def state(self) -> str:
        """One word for lists; `shown` means that `lab solve` typed the solution."""
        if self.solved:
            return "solved"
        if self.solution_shown:
            return "shown"
        return "begun" if self.started or self.checks_run else "new"


@dataclass(frozen=True)
class LabProgress:
    """Progress in one lab: the exercise that the learner works on, and the progress in each."""

    current: str = ""
    exercises: Mapping[str, ExerciseProgress] = field(default_factory=dict)

    def record(self, name: str, formerly: Sequence[str] = ()) -> ExerciseProgress:
        """The progress in an exercise, under its present name or a former one."""
        known = (self.exercises[key] for key in (name, *formerly) if key in self.exercises)
        return next(known, ExerciseProgress())


Labs = Mapping[str, LabProgress]
"""Progress by lab."""


def now() -> str:
    """Returns the present time in the form of the progress file."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class ProgressFile:
    """The progress file of one user; everything is read and written for one lab."""

    def __init__(
        self,
        folder: Path,
        lab: str,
        *,
        clock: Callable[[], str] = now,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.path = folder / FILE_NAME
        self._previous = folder / f"{FILE_NAME}.previous"
        self._damaged = folder / f"{FILE_NAME}.damaged"
        self._lab = lab
        self._clock = clock
        self._warn = warn

    def labs(self) -> Labs:
        """Reads the progress in every lab."""
        for path in (self.path, self._previous):
            try:
                return _from_data(json.loads(path.read_text(encoding="utf-8")))
            except FileNotFoundError:
                continue
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                self._warn(f"{path} cannot be read ({error}); trying the earlier copy")
            except OSError as error:
                raise LabError(
                    f"cannot read {path}",
                    evidence=error.strerror or str(error),
                    hint=f"ls -ld {path.parent} {path}",
                ) from error
        return {}

    def lab(self) -> LabProgress:
        """Reads the progress in this lab."""
        return self.labs().get(self._lab, LabProgress())

    def record(self, name: str, formerly: Sequence[str] = ()) -> ExerciseProgress:
        """Reads the progress in an exercise, under its present name or a former one."""
        return self.lab().record(name, formerly)

    def begin(self, name: str, formerly: Sequence[str] = ()) -> None:
        """Records that the learner starts to work on an exercise."""

        def change(record: ExerciseProgress) -> ExerciseProgress:
            return replace(record, started=record.started or self._clock())

        self._update(name, formerly, change, current=name)

    def judged(
        self,
        name: str,
        formerly: Sequence[str] = (),
        *,
        solved: bool,
        steps: Sequence[str],
        count: bool = True,
    ) -> None:
        """Records the result of the checks."""
        stamp = self._clock()

        def change(record: ExerciseProgress) -> ExerciseProgress:
            held = {**dict.fromkeys(steps, stamp), **record.steps}
            return replace(
                record,
                last_check=stamp,
                checks_run=record.checks_run + count,
                steps=held,
                solved=record.solved or (stamp if solved and not record.solution_shown else ""),
            )

        self._update(name, formerly, change)

    def hint(self, name: str, formerly: Sequence[str], step: str, available: int) -> int:
        """Records one more hint for a step and returns their number, at most `available`."""

        def change(record: ExerciseProgress) -> ExerciseProgress:
            taken = min(record.hints.get(step, 0) + 1, available)
            return replace(record, hints={**record.hints, step: taken})

        return self._update(name, formerly, change).hints[step]

    def shown(self, name: str, formerly: Sequence[str] = ()) -> None:
        """Records that the solution was typed for the learner."""
        self._update(name, formerly, lambda record: replace(record, solution_shown=True))

    def forget(self, name: str, formerly: Sequence[str] = ()) -> None:
        """Deletes the progress in an exercise."""
        self._update(name, formerly, lambda _: ExerciseProgress())

    def _update(
        self,
        name: str,
        formerly: Sequence[str],
        change: Callable[[ExerciseProgress], ExerciseProgress],
        current: str | None = None,
    ) -> ExerciseProgress:
        with self._locked():
            labs = dict(self.labs())
            lab = labs.get(self._lab, LabProgress())
            known = dict(lab.exercises)
            old = next((known.pop(key) for key in (name, *formerly) if key in known), ExerciseProgress())
            record = known[name] = change(old)
            working_on = current or (name if lab.current in formerly else lab.current)
            labs[self._lab] = LabProgress(working_on, known)
            self._write(labs)
        return record

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Locks the file against other commands; the kernel unlocks it when the process ends."""
        with writing(self.path):
            private_folder(self.path.parent)
            handle = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _write(self, labs: Labs) -> None:
        fresh = self.path.with_suffix(".new")
        text = json.dumps(as_data(labs), indent=1, ensure_ascii=False) + "\n"
        with writing(self.path):
            fresh.unlink(missing_ok=True)  # a killed command's, or an earlier version's with another mode
            with open(fresh, "w", encoding="utf-8", opener=_private) as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            if self.path.exists():  # a damaged file must not replace the good copy
                self.path.replace(self._previous if _readable(self.path) else self._damaged)
            fresh.replace(self.path)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _readable(path: Path) -> bool:
    try:
        _from_data(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return False
    return True


def as_data(labs: Labs) -> dict[str, Any]:
    """Writes the whole file as plain data, which is also what `--json` prints."""
    return {
        "schema": SCHEMA,
        "labs": {
            lab: {
                "current": found.current,
                "exercises": {
                    name: {"state": record.state, **asdict(record)}
                    for name, record in found.exercises.items()
                },
            }
            for lab, found in labs.items()
        },
    }


def as_csv(labs: Labs) -> str:
    """Writes one CSV line for each lab and exercise."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for lab, found in labs.items():
        for name, record in found.exercises.items():
            writer.writerow(
                [
                    lab,
                    name,
                    record.state,
                    record.started,
                    record.solved,
                    record.last_check,
                    record.checks_run,
                    len(record.steps),
                    sum(record.hints.values()),
                    "yes" if record.solution_shown else "no",
                ]
            )
    return out.getvalue()


def _from_data(data: Any) -> Labs:
    if data["schema"] != SCHEMA:
        raise ValueError(f"schema {data['schema']!r}, not {SCHEMA}")
    return {
        str(lab): LabProgress(
            current=str(found["current"]),
            exercises={str(name): _record(item) for name, item in found["exercises"].items()},
        )
        for lab, found in data["labs"].items()
    }


def _record(item: Mapping[str, Any]) -> ExerciseProgress:
    return ExerciseProgress(
        started=str(item["started"]),
        last_check=str(item["last_check"]),
        solved=str(item["solved"]),
        checks_run=int(item["checks_run"]),
        hints={str(step): int(count) for step, count in item["hints"].items()},
        steps={str(step): str(when) for step, when in item["steps"].items()},
        solution_shown=bool(item["solution_shown"]),
    )
