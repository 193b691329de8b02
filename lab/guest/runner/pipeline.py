"""`receive`: runs the pipeline of each commit that was pushed, and shows it to whoever pushes, as it goes."""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

from lab.guest.runner import checkout, containers, results
from lab.guest.runner.checkout import Push
from lab.guest.runner.places import BUILDS, ENVIRONMENT, GIT, LOCK, RunnerError, url
from lab.guest.runner.results import Result
from lab.guest.system import System
from lab.printable import printable, printable_line, printable_lines

FILE = ".gitlab-ci.yml"
SECONDS = 3600
UNIT = "runner-pipeline"
LONGEST_LOG = 8 << 20  # characters
OUTCOMES = {0: "passed", 127: "error"}  # by status; 127: a program that does not exist
# In a unit of its own, so that nothing of a pipeline outlives it, and a pusher who goes away stops nothing.
ISOLATED = (
    "systemd-run", "--quiet", "--wait", "--pipe", "--collect",
    f"--unit={UNIT}", f"--property=RuntimeMaxSec={SECONDS}",
    *(f"--setenv={name}={value}" for name, value in ENVIRONMENT.items()),
)  # fmt: skip
INTERPRETER = ("gitlab-ci-local", "--force-shell-executor", "--no-color", "--concurrency=1")
_JOB = re.compile(r"^ FAIL  (\S.*?)\s*$", re.MULTILINE)
"""A line of gitlab-ci-local's summary."""


class Audience:
    """Whoever pushes, and the log. One who has gone away is not told any more, and stops nothing."""

    def __init__(self, out: TextIO) -> None:
        self._out: TextIO | None = out
        self.log: TextIO | None = None
        self.kept = ""

    def show(self, text: str) -> None:
        """Shows text that may be shown."""
        if self.log is not None and len(self.kept) < LONGEST_LOG:
            self.kept += text
            self.log.write(text)
            self.log.flush()
        try:
            if self._out is not None:
                self._out.write(text)
                self._out.flush()
        except OSError:
            self._out = None

    def say(self, text: str) -> None:
        """Shows one line of ours."""
        self.show(f"{printable_line(text)}\n")


def receive(system: System, path: str, lines: Sequence[str], out: TextIO) -> int:
    """Runs the pipelines of a push to the repository in a folder, one after another."""
    name = os.path.basename(path)
    if os.path.dirname(path) != system.path(GIT) or not name.endswith(".git"):
        raise RunnerError(f"{path} is no repository of this runner", hint=f"ls {GIT}")
    found, refused = checkout.pushes(name[: -len(".git")], lines)
    audience = Audience(out)
    for ref in refused:
        audience.say(f"no pipeline for {ref}: a name that pipelines take has letters, digits and ._/+- only")
    for push in found:
        with turn(system, push, audience.say):
            run(system, push, audience)
    return 0


@contextmanager
def turn(system: System, push: Push, say: Callable[[str], None]) -> Iterator[None]:
    """Waits until no other pipeline runs, and says so. The kernel ends a turn with its process."""
    os.makedirs(os.path.dirname(system.path(LOCK)), exist_ok=True)
    descriptor = os.open(system.path(LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 400, 0).decode(errors="replace")
            say(f"another pipeline runs: {holder}; this one waits")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{push.repository}, {push.name} {push.short}".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def run(system: System, push: Push, audience: Audience) -> Result | None:
    """Runs one pipeline and keeps its results; None if the commit has no pipeline."""
    build = checkout.make(system, push)
    if not os.path.isfile(os.path.join(build, FILE)):
        audience.say(f"{push.name} {push.short} has no {FILE}, so nothing is done")
        return None
    author, subject = checkout.described(system, push)
    number = results.next_number(system)
    result = Result(number, push.repository, push.name, push.commit, author, subject, time.time())
    results.write(system, result)
    with open(results.folder(system, number, results.LOG), "w", encoding="utf-8") as log:
        audience.log = log
        audience.say(f"pipeline {number} of {push.repository}: {push.name} {push.short}, {url(number)}")
        _work(system, push, audience, result)
        audience.say(f"pipeline {number} {told(result)}, {url(number)}")
        audience.log = None
    results.write(system, result)
    return result


def told(result: Result) -> str:
    """How a pipeline ended, in words."""
    words = {"passed": "passed", "error": "could not run"}.get(result.outcome, "failed")
    jobs = f" in {', '.join(result.failed)}" if result.failed else ""
    return f"{words}{jobs} after {result.seconds:.1f} s"


def _work(system: System, push: Push, audience: Audience, result: Result) -> None:
    build = system.path(f"{BUILDS}/{push.repository}")
    audience.kept = ""
    try:
        containers.stop_all(system)
        done = system.follow(
            command(push, build), lambda line: audience.show(f"{printable(line)}\n"), ENVIRONMENT, build
        )
        if done.err:
            audience.say(f"error: {done.err.decode(errors='replace')}")
        result.failed = [printable_line(job) for job in _JOB.findall(audience.kept)]
        result.outcome = OUTCOMES.get(done.status, "failed")
        results.keep_artefacts(system, build, result)
    except (RunnerError, OSError) as error:
        result.outcome = "error"
        evidence = error.evidence if isinstance(error, RunnerError) else ""
        audience.say(f"error: {error}")
        for line in printable_lines(evidence):
            audience.say(f"  {line}")
    finally:
        containers.stop_all(system)
        result.seconds = time.time() - result.began


def command(push: Push, build: str) -> list[str]:
    """The command that runs a pipeline. A tag's name is a variable, as on GitLab."""
    tag = [f"--variable=CI_COMMIT_TAG={push.name}"] if push.kind == "tags" else []
    inside = [f"--property=WorkingDirectory={build}", "--"] if ISOLATED else []
    return [*ISOLATED, *inside, *INTERPRETER, *tag]
