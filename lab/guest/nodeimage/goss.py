"""Runs goss in a tree. goss looks at the system that it runs on, so its program is lent to the tree."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from lab.guest.nodeimage.configure import SHOWN, Job
from lab.guest.nodeimage.control import Control
from lab.guest.nodeimage.errors import CONTROL, FAILED, NodeImageError, missing_program
from lab.guest.system import Outcome

INSTALL = "apt install goss (Debian 13), or put the program in /usr/local/bin"


def run(job: Job) -> list[Control]:
    """The controls of the role's goss file, with those that it includes."""
    program = shutil.which("goss")
    if program is None:
        raise missing_program("goss", INSTALL)
    rendered = job.system.run([program, "--gossfile", job.role.goss, "render"])
    if rendered.status:
        raise _did_not_run(job, rendered)
    with job.output.step("running goss"), _lent(job.tree, program, rendered.out) as inside:
        words = ["chroot", job.tree, f"{inside}/goss", "--gossfile", f"{inside}/goss.yaml"]
        done = job.system.run([*words, "validate", "--format", "json"])
    job.system.write(job.system.inside(job.artefact("goss.json")), done.out)
    results = _results(done.out)
    if done.status not in (0, 1) or not results:
        raise _did_not_run(job, done)
    # goss runs controls side by side and tells them as they end; an image's manifest must not depend on that.
    return sorted(map(_control, results), key=lambda one: one.name)


@contextmanager
def _lent(tree: str, program: str, tests: bytes) -> Iterator[str]:
    """Puts program and tests into the tree's /tmp, which no image holds; yields their folder in the tree."""
    place = os.path.join(tree, "tmp")
    if os.path.islink(place) or not os.path.isdir(place):
        raise NodeImageError(FAILED, f"{place} is no folder", hint=f"ls -ld {place}")
    folder = tempfile.mkdtemp(prefix=".goss-", dir=place)
    try:
        shutil.copy(program, os.path.join(folder, "goss"))
        with open(os.path.join(folder, "goss.yaml"), "wb") as file:
            file.write(tests)
        yield f"/tmp/{os.path.basename(folder)}"  # noqa: S108 - mkdtemp made it
    finally:
        shutil.rmtree(folder)


def _results(out: bytes) -> list[Mapping[str, Any]]:
    """The list of results in goss's JSON (its outputs/json.go); empty for anything else."""
    try:
        found = json.loads(out)
    except ValueError:
        return []
    results = found.get("results") if isinstance(found, dict) else None
    return [one for one in results if isinstance(one, dict)] if isinstance(results, list) else []


def _control(one: Mapping[str, Any]) -> Control:
    """A result; goss 0.4 tells what was expected and found in `matcher-result`, earlier ones beside it."""
    name = f"{one.get('resource-type', '')} {one.get('resource-id', '')}: {one.get('property', '')}".strip()
    if one.get("skipped") is True or one.get("result") == 2:
        return Control(name, "skipped")
    if one.get("successful") is True:
        return Control(name, "passed")
    matcher = one.get("matcher-result")
    told = matcher if isinstance(matcher, dict) else one
    found = one.get("err") or told.get("actual", told.get("found"))
    return Control(name, "failed", expected=_text(told.get("expected")), found=_text(found))


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _did_not_run(job: Job, done: Outcome) -> NodeImageError:
    told = (done.err + done.out).decode(errors="replace").strip().splitlines()[-SHOWN:]
    return NodeImageError(
        CONTROL, f"goss could not run {job.role.goss}", evidence="\n".join(told),
        hint=f"goss --gossfile {job.role.goss} render",
    )  # fmt: skip
