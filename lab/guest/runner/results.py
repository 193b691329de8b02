"""Results of pipelines: a numbered folder each, with pages that show text of pipelines and never obey it."""

from __future__ import annotations

import html
import json
import os
import shutil
import stat
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

from lab.guest.runner.places import RESULTS
from lab.guest.system import System
from lab.printable import printable_line, steers

KEPT = 100
"""Pipelines whose results stay."""
MOST_FILES, MOST_BYTES = 500, 64 << 20
"""Artefacts of one pipeline that are kept."""
ARTEFACTS = "artefacts"
RECORD, LOG, PAGE = "result.json", "log.txt", "index.html"
COLUMNS = (
    "Pipeline", "Outcome", "Repository", "Ref", "Commit", "Author", "Subject", "Began (UTC)", "Seconds",
)  # fmt: skip
STYLE = (
    "body{font:15px sans-serif;margin:2em}td,th{padding:.2em 1em .2em 0;text-align:left}.failed{color:#b00}"
)


@dataclass
class Result:
    """One pipeline; author, subject and names of jobs and files are text of whoever pushed."""

    number: int
    repository: str
    ref: str
    commit: str
    author: str
    subject: str
    began: float
    seconds: float = 0.0
    outcome: str = "running"  # then passed, failed or error
    failed: list[str] = field(default_factory=list)  # names of jobs
    artefacts: list[str] = field(default_factory=list)  # paths below ARTEFACTS
    left_out: int = 0  # artefacts that were too many, too large, or no plain files


def next_number(system: System) -> int:
    """The number of the next pipeline."""
    return max(_numbers(system), default=0) + 1


def folder(system: System, number: int, *parts: str) -> str:
    """A real path in the folder of a pipeline."""
    return system.path(os.path.join(RESULTS, str(number), *parts))


def write(system: System, result: Result) -> None:
    """Writes the record and the page of a pipeline, and the list of all; removes the oldest ones."""
    os.makedirs(folder(system, result.number), exist_ok=True)
    place = f"{RESULTS}/{result.number}"
    system.write(f"{place}/{RECORD}", (json.dumps(asdict(result), indent=2) + "\n").encode())
    system.write(f"{place}/{PAGE}", page(result).encode())
    for number in sorted(_numbers(system), reverse=True)[KEPT:]:
        shutil.rmtree(folder(system, number), ignore_errors=True)
    write_list(system)


def write_list(system: System) -> None:
    """Writes the page that lists all pipelines, the newest one first."""
    known = [read(system, number) for number in sorted(_numbers(system), reverse=True)]
    rows = "".join(_row(result) for result in known if result)
    head = "".join(f"<th>{column}" for column in COLUMNS)
    table = f"<table><tr>{head}</tr>{rows}</table>" if rows else "<p>No pipeline has run yet.</p>"
    system.write(f"{RESULTS}/{PAGE}", _html("Pipelines", f"<h1>Pipelines</h1>{table}").encode())


def read(system: System, number: int) -> Result | None:
    """The record of a pipeline; None if it is damaged."""
    try:
        return Result(**json.loads(system.read(f"{RESULTS}/{number}/{RECORD}")))
    except (OSError, ValueError, TypeError):
        return None


def keep_artefacts(system: System, build: str, result: Result) -> None:
    """Copies the plain files that jobs have kept; a link may lead to the runner's keys, and is left out."""
    room = MOST_BYTES
    for path in _plain_files(os.path.join(build, ".gitlab-ci-local", "artifacts")):
        name = path[len(build) + len("/.gitlab-ci-local/artifacts/") :]
        if len(result.artefacts) >= MOST_FILES or any(steers(letter) for letter in name):
            result.left_out += 1
            continue
        size = _copy(path, folder(system, result.number, ARTEFACTS, name), room)
        if size is None:
            result.left_out += 1
        else:
            result.artefacts.append(name)
            room -= size


def page(result: Result) -> str:
    """The page of one pipeline."""
    facts = "".join(f"<tr><th>{name}<td>{_text(value)}</tr>" for name, value in _facts(result))
    files = "".join(
        f'<li><a href="{ARTEFACTS}/{_address(name)}">{_text(name)}</a>' for name in result.artefacts
    )
    left = f"<p>{result.left_out} artefacts were not kept.</p>" if result.left_out else ""
    outcome = _text(result.outcome)
    body = (
        f'<h1>Pipeline {result.number}: <span class="{outcome}">{outcome}</span></h1>'
        f'<table>{facts}</table><p><a href="{LOG}">What it printed</a> · <a href="{RECORD}">as JSON</a> · '
        f'<a href="/">all pipelines</a></p><h2>Artefacts</h2><ul>{files}</ul>{left}'
    )
    return _html(f"Pipeline {result.number}", body)


def _facts(result: Result) -> Iterator[tuple[str, object]]:
    yield "Repository", result.repository
    yield "Ref", result.ref
    yield "Commit", result.commit
    yield "Author", result.author
    yield "Subject", result.subject
    yield "Began (UTC)", _stamp(result.began)
    yield "Seconds", f"{result.seconds:.1f}"
    yield "Failed jobs", ", ".join(result.failed) or "none"


def _row(result: Result) -> str:
    cells = (
        result.repository,
        result.ref,
        result.commit[:12],
        result.author,
        result.subject,
        _stamp(result.began),
    )
    shown = "".join(f"<td>{_text(cell)}" for cell in (*cells, f"{result.seconds:.1f}"))
    link = f'<a href="/{result.number}/">{result.number}</a>'
    return f'<tr><td>{link}<td class="{_text(result.outcome)}">{_text(result.outcome)}{shown}</tr>'


def _html(title: str, body: str) -> str:
    return f'<!doctype html><meta charset="utf-8"><title>{_text(title)}</title><style>{STYLE}</style>{body}\n'


def _text(value: object) -> str:
    """What may be shown of a text, as HTML."""
    return html.escape(printable_line(str(value)), quote=True)


def _address(name: str) -> str:
    from urllib.parse import quote

    return html.escape(quote(name), quote=True)


def _stamp(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds))


def _numbers(system: System) -> list[int]:
    return [int(name) for name in system.names(RESULTS) if name.isascii() and name.isdigit()]


def _plain_files(top: str) -> Iterator[str]:
    for place, folders, names in os.walk(top):
        folders.sort()
        yield from (os.path.join(place, name) for name in sorted(names))


def _copy(source: str, target: str, room: int) -> int | None:
    """Copies a plain file of at most so many bytes; returns its size, or None."""
    try:
        descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with open(descriptor, "rb") as file:
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode) or info.st_size > room:
            return None
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "wb") as copy:
            shutil.copyfileobj(file, copy)
    return info.st_size
