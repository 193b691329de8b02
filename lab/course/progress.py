"""What this learner has done: one JSON file per user, written atomically, with a copy of the last one."""

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
    """One exercise in one lab; times are ISO 8601, UTC, or empty."""

    started: str = ""
    last_check: str = ""
    solved: str = ""  # the first time all checks held without the solution being typed for the learner
    checks_run: int = 0
    hints: Mapping[str, int] = field(default_factory=dict)  # step: how many were taken
    steps: Mapping[str, str] = field(default_factory=dict)  # step: when it first held
    solution_shown: bool = False

    @property
    def state(self) -> str:
        """One word for lists; `shown` is solved, but not by the learner alone."""
        if self.solved:
            return "solved"
        if self.solution_shown:
            return "shown"
        return "begun" if self.started or self.checks_run else "new"


@dataclass(frozen=True)
class LabProgress:
    """One lab: which exercise is being worked on, and what is known of each."""

    current: str = ""
    exercises: Mapping[str, ExerciseProgress] = field(default_factory=dict)


Book = Mapping[str, LabProgress]


def now() -> str:
    """The time as it is written down."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class ProgressFile:
    """The progress file of one user, seen through one lab."""

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

    def book(self) -> Book:
        """Everything known, of every lab."""
        for path in (self.path, self._previous):
            try:
                return _from_data(json.loads(path.read_text(encoding="utf-8")))
            except FileNotFoundError:
                continue
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                self._warn(f"{path} cannot be read ({error}); looking at the copy before it")
            except OSError as error:
                raise LabError(f"cannot read {path}", evidence=str(error)) from error
        return {}

    def lab(self) -> LabProgress:
        """What is known of this lab."""
        return self.book().get(self._lab, LabProgress())

    def record(self, name: str, formerly: Sequence[str] = ()) -> ExerciseProgress:
        """What is known of an exercise, under its present name or an earlier one."""
        known = self.lab().exercises
        return next((known[key] for key in (name, *formerly) if key in known), ExerciseProgress())

    def begin(self, name: str, formerly: Sequence[str] = ()) -> None:
        """Notes that the learner works on an exercise from now on."""

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
        """Notes the result of a check."""
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
        """Takes one more hint of a step and returns how many are taken now, at most those available."""

        def change(record: ExerciseProgress) -> ExerciseProgress:
            taken = min(record.hints.get(step, 0) + 1, available)
            return replace(record, hints={**record.hints, step: taken})

        return self._update(name, formerly, change).hints[step]

    def shown(self, name: str, formerly: Sequence[str] = ()) -> None:
        """Notes that the solution was typed for the learner."""
        self._update(name, formerly, lambda record: replace(record, solution_shown=True))

    def forget(self, name: str, formerly: Sequence[str] = ()) -> None:
        """Forgets what was done in an exercise."""
        self._update(name, formerly, lambda _: ExerciseProgress())

    def _update(
        self,
        name: str,
        formerly: Sequence[str],
        change: Callable[[ExerciseProgress], ExerciseProgress],
        current: str | None = None,
    ) -> ExerciseProgress:
        with self._locked():
            book = dict(self.book())
            lab = book.get(self._lab, LabProgress())
            known = dict(lab.exercises)
            old = next((known.pop(key) for key in (name, *formerly) if key in known), ExerciseProgress())
            record = known[name] = change(old)
            working_on = current or (name if lab.current in formerly else lab.current)
            book[self._lab] = LabProgress(working_on, known)
            self._write(book)
        return record

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keeps two commands from losing each other's notes; the kernel frees it however we end."""
        private_folder(self.path.parent)
        handle = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _write(self, book: Book) -> None:
        fresh = self.path.with_suffix(".new")
        text = json.dumps(as_data(book), indent=1, ensure_ascii=False) + "\n"
        try:
            with fresh.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            if self.path.exists():  # never let a damaged file replace the copy that saves us from it
                self.path.replace(self._previous if _readable(self.path) else self._damaged)
            fresh.replace(self.path)
        except OSError as error:
            raise LabError(f"cannot write {self.path}", evidence=str(error)) from error


def _readable(path: Path) -> bool:
    try:
        _from_data(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return False
    return True


def as_data(book: Book) -> dict[str, Any]:
    """The whole file as plain data; also what `--json` exports."""
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
            for lab, found in book.items()
        },
    }


def as_csv(book: Book) -> str:
    """One line per lab and exercise, for a spreadsheet."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for lab, found in book.items():
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


def _from_data(data: Any) -> Book:
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
