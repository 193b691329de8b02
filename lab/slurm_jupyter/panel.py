"""Slurm's commands as jupyterlab-slurm 4.1.0 calls them, made safe: it splits rows at blanks, lines and bars.

Its handlers.py: SqueueHandler splits at white space into 8 columns, SacctHandler at `|`, both at any line end
that `str.splitlines` knows; ScontrolHandler passes any word of the request's path on.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from lab.slurm_jupyter.commands import Done
from lab.slurm_jupyter.sentences import clean, word

JOB = re.compile(r"[0-9]{1,10}(_[0-9]{1,10})?\Z")
SOME_JOBS = re.compile(r"([0-9]{1,10})(_[0-9]{1,10}|_\[([0-9,-]{1,2000})(%[0-9]{1,10})?\])?\Z")
ACTIONS = ("hold", "release", "requeue", "requeuehold", "suspend", "resume")
VALUES = {
    "-o": re.compile(r"[A-Za-z]{1,40}(%[0-9]{1,4})?(,[A-Za-z]{1,40}(%[0-9]{1,4})?){0,60}\Z"),
    "-S": re.compile(r"now-[0-9]{1,5}days\Z"),
    "-E": re.compile(r"now\Z"),
    "-u": re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}\Z"),
    "-j": re.compile(r"[0-9]{1,10}(_[0-9]{1,10}|_\[[0-9,-]{1,2000}\])?\Z"),
}
"""sacct's options with a value that the page gives, and what the values look like."""
LONG = {
    "--parsable2": "-P", "--noheader": "-n", "--allocations": "-X", "--format": "-o", "--jobs": "-j",
}  # fmt: skip
QUEUE = ("i", "P", "j", "u", "t", "M", "D", "R")
"""squeue's letters for the page's eight columns."""


class Run(Protocol):
    """Runs one of Slurm's programs to its end."""

    def __call__(self, words: Sequence[str]) -> Done:
        """Its status and output."""


@dataclass(frozen=True)
class User:
    """Who uses the page; the container may have no account of this number."""

    name: str
    uid: int


class RefusedError(Exception):
    """The page asked for what it does not need."""


def squeue(words: Sequence[str], run: Run, user: User) -> Done:
    """The queue, one job a line, whatever the jobs are called; the page's own options say the same."""
    del words
    mark = _mark()
    done = run(("squeue", "-h", "-o", mark + mark.join(f"%{letter}" for letter in QUEUE) + mark))
    if done.status:
        return done
    pieces = done.out.split(mark)[1:]  # each job: its columns, then the end of its line
    size = len(QUEUE) + 1
    rows = [pieces[start : start + size - 1] for start in range(0, len(pieces) - size + 1, size)]
    mine = str(user.uid)
    for row in rows:
        row[3] = user.name if row[3] == mine else row[3]
        row[:7] = [word(cell) for cell in row[:7]]
        row[7] = clean(row[7]) or "-"
    return Done(0, "".join(f"{' '.join(row)}\n" for row in rows), "")


def sacct(words: Sequence[str], run: Run, user: User) -> Done:
    """The history, or one job of it: a bar between columns, a line for each job."""
    asked = _history(words)
    mark, fields = _mark(), asked["-o"].split(",")
    more = [word for name in ("-S", "-E", "-j") if name in asked for word in (name, asked[name])]
    # Without -u it is the caller's own jobs; by name it would need an account in the container.
    more += ["-u", asked["-u"]] if asked.get("-u", user.name) != user.name else []
    more += ["-X"] if "-X" in asked else []
    done = run(("sacct", "-n", "-p", f"--delimiter={mark}", "-o", asked["-o"], *more))
    if done.status:
        return done
    cells, size = done.out.split(mark)[:-1], len(fields)  # the last is the end of the last line
    also = "|" if size > 1 else ""
    lines = []
    for start in range(0, len(cells) - size + 1, size):
        row = cells[start : start + size]
        row[0] = row[0].removeprefix("\n")  # the end of the line before
        shown = [_named(name, cell, user) for name, cell in zip(fields, row, strict=True)]
        lines.append("|".join(clean(cell, also) for cell in shown))
    return Done(0, "".join(f"{line}\n" for line in lines), "")


def _named(field: str, cell: str, user: User) -> str:
    """A user's number as the name, where it is the notebook's own."""
    return user.name if field.lower() == "user" and cell == str(user.uid) else cell


def _history(words: Sequence[str]) -> dict[str, str]:
    """What the page asks sacct for, by short options; nothing else is passed on."""
    found: dict[str, str] = {}
    rest = [part for one in words for part in (one.split("=", 1) if one.startswith("--") else [one])]
    while rest:
        name = LONG.get(rest[0], rest[0])
        if name in ("-P", "-n", "-X"):
            found[name] = rest.pop(0)
        elif name in VALUES and len(rest) > 1 and VALUES[name].match(rest[1]):
            found[name] = rest[1]
            del rest[:2]
        else:
            raise RefusedError("the page asks sacct for something else than a history")
    if "-o" not in found:
        raise RefusedError("the page asks sacct for no columns")
    return found


def scontrol(words: Sequence[str], run: Run, user: User) -> Done:
    """What the page has buttons for, on one job; and a job's details."""
    del user
    if len(words) == 3 and [*words[:2]] == ["show", "job"] and JOB.match(words[2]):
        return _details(words[2], run)
    if len(words) == 2 and words[0] in ACTIONS and JOB.match(words[1]):
        return run(("scontrol", *words))
    raise RefusedError(f"the page may not run scontrol {clean(words[0])[:40] if words else ''}".rstrip())


def _details(job: str, run: Run) -> Done:
    """A job's details. Its name is its user's to choose: a line in it would look like a line of Slurm's."""
    done = run(("scontrol", "show", "job", job))
    if done.status:
        return done
    mark = _mark()
    named = run(("squeue", "-h", "-t", "all", "-j", job, "-o", f"{mark}%j{mark}"))
    names = named.out.split(mark)[1::2]
    text = done.out
    for name in sorted({name for name in names if word(name) != name}, key=len, reverse=True):
        text = text.replace(f"JobName={name}", f"JobName={clean(name)}")
    return Done(0, text, "")


def scancel(words: Sequence[str], run: Run, user: User) -> Done:
    """Cancels jobs; `25_[1-8%1]`, as squeue shows it, is an error to scancel, and `25_[1-8]` is not."""
    del user
    jobs = [SOME_JOBS.match(one) for one in words]
    if not jobs or not all(jobs):
        raise RefusedError("the page cancels jobs by their numbers")
    return run(("scancel", *(re.sub(r"%[0-9]+", "", one) for one in words)))


def sbatch(words: Sequence[str], run: Run, user: User) -> Done:
    """Submits a script; the page gives its path and no option."""
    del user
    if len(words) != 1 or words[0].startswith("-"):
        raise RefusedError("the page submits one script, without options")
    return run(("sbatch", words[0]))


def _mark() -> str:
    """What stands between columns: nobody can have it in a job's name."""
    return f"<{secrets.token_hex(8)}>"


PROGRAMS: Mapping[str, Callable[[Sequence[str], Run, User], Done]] = {
    "squeue": squeue,
    "sacct": sacct,
    "scontrol": scontrol,
    "scancel": scancel,
    "sbatch": sbatch,
}
