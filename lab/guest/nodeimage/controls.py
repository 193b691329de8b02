"""`test`: runs the role's controls on a tree, by testinfra and goss. Any failed control means no image."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence

from lab.guest.nodeimage import content, goss, in_use, junit, proof
from lab.guest.nodeimage.configure import SHOWN, Job
from lab.guest.nodeimage.control import Control
from lab.guest.nodeimage.errors import CONTROL, FAILED, NodeImageError, missing_program
from lab.guest.nodeimage.output import Result
from lab.guest.nodeimage.places import locked, write_json

INSTALL = "apt install python3-testinfra, or: pip install pytest-testinfra"
COMMANDS = ("pytest", "pytest-3")
MOST = 10
"""Failed controls that are shown."""
WIDEST = 300
"""Letters of what was found that are kept."""
_SOURCE = re.compile(r"^>\s+(.*)$", re.MULTILINE)
_FOUND = re.compile(r"^E\s+(.*)$", re.MULTILINE)
_PREFIX = re.compile(r"(?:AssertionError: )?(?:assert )?")
_PLACE = re.compile(r"^(\S+?):(\d+): ", re.MULTILINE)


def run(job: Job) -> Result:
    """Tests the tree and keeps the reports."""
    if not job.system.is_root:
        raise NodeImageError(FAILED, "only root can test a tree: it is entered by chroot", hint="use sudo")
    known = ((job.role.tests, _testinfra), (job.role.goss, goss.run))
    suites = [suite for path, suite in known if _there(path)]
    proof.need_tests(job.role, found=bool(suites))
    if not suites:
        line = f"{job.role.name} has no tests, and says so"
        return Result({"role": job.role.name, "passed": 0, "changed": False}, (line,))
    with locked(job.places.role(job.role.name), job.role.name):
        content.need_tree(job.tree)
        in_use.refuse(job.tree)
        proof.forget(job.system, job.places, job.role, "test")
        os.makedirs(job.artefact(), exist_ok=True)
        found = [control for suite in suites for control in suite(job)]
        report = job.artefact("tests.json")
        write_json(job.system, report, [vars(one) for one in found])
        counts = {word: sum(one.outcome == word for one in found) for word in ("passed", "failed", "skipped")}
        _refuse(job, found, counts)
        job.proven("test", {**counts, "controls": [one.name for one in found]})
    line = f"tested: {counts['passed']} controls passed, {counts['skipped']} skipped"
    data = {"role": job.role.name, **counts, "changed": True, "report": report}
    return Result(data, (line, f"next: nodeimage pack {job.role.folder}"))


def _there(path: str) -> bool:
    """Whether a role has these tests: a file, or a folder with files."""
    return os.path.isfile(path) or (os.path.isdir(path) and bool(os.listdir(path)))


def _testinfra(job: Job) -> list[Control]:
    command = next((name for name in COMMANDS if shutil.which(name)), None)
    if command is None:
        raise missing_program("pytest", INSTALL)
    report = job.artefact("testinfra.xml")
    if os.path.lexists(report):
        os.unlink(report)
    # Not --hosts=chroot://PATH: testinfra would drop the path.
    words = [
        command, "-q", "--connection=chroot", f"--hosts={job.tree}", f"--junitxml={report}",
        "-p", "no:cacheprovider", f"--rootdir={job.role.folder}", job.role.tests,
    ]  # fmt: skip
    with job.output.step("running testinfra"):
        done = job.system.follow(words, lambda _: None, {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
    lines = done.out.decode(errors="replace").strip().splitlines()
    told = "\n".join([line for line in lines if line.startswith("E ")][:SHOWN] or lines[-SHOWN:])
    if "unrecognized arguments: --connection" in told:
        raise missing_program("testinfra", INSTALL)
    cases = junit.read(report)
    if done.status not in (0, 1) or not cases:
        raise NodeImageError(
            CONTROL, f"the tests of {job.role.name} did not run", evidence=told,
            hint=f"pytest {job.role.tests}",
        )  # fmt: skip
    return [control(case, job.role.folder) for case in cases]


def control(case: junit.Case, folder: str) -> Control:
    """A control as a report of pytest tells it: the line of the test that failed, and what it was then."""
    name = case.name.split("[chroot:", 1)[0]
    if case.outcome != "failed":
        return Control(f"{case.place}.{name}", case.outcome)
    place, expected, found = (pattern.search(case.text) for pattern in (_PLACE, _SOURCE, _FOUND))
    return Control(
        name=f"{case.place}.{name}",
        outcome="failed",
        place=f"{_inside(place[1], folder)}, line {place[2]}" if place else "",
        expected=expected[1].strip().removeprefix("assert ") if expected else "",
        found=_PREFIX.sub("", (found[1] if found else case.message).strip(), count=1)[:WIDEST],
    )


def _inside(path: str, folder: str) -> str:
    """A path as it lies in the role's folder: pytest prints it as it lies below where it was started."""
    absolute = os.path.abspath(path)
    return os.path.relpath(absolute, folder) if absolute.startswith(f"{folder}/") else path


def _refuse(job: Job, found: Sequence[Control], counts: dict[str, int]) -> None:
    failed = [one for one in found if one.outcome == "failed"]
    if failed:
        raise NodeImageError(
            CONTROL,
            f"{len(failed)} of {len(found)} controls of {job.role.name} failed, so there is no image",
            evidence="\n".join(line for one in failed[:MOST] for line in one.lines()),
            hint=f"less {job.artefact('tests.json')}",
        )
    if not counts["passed"]:
        raise NodeImageError(
            CONTROL,
            f"no control of {job.role.name} passed: all were skipped",
            hint=f"pytest -rs {job.role.tests}",
        )
