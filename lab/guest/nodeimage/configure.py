"""`configure`: runs the role's playbook in a tree, by Ansible's chroot connection."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lab.guest.nodeimage import content, in_use, junit, proof
from lab.guest.nodeimage.commit import Commit
from lab.guest.nodeimage.errors import FAILED, PROGRAM, TASK, NodeImageError, missing_program
from lab.guest.nodeimage.output import Output, Result
from lab.guest.nodeimage.places import Places, locked
from lab.guest.nodeimage.role import Role
from lab.guest.system import Outcome, System

CONNECTION = "community.general.chroot"
INSTALL = "apt install ansible, or: pip install ansible"
PYTHON = "usr/bin/python3"
SHOWN = 8
"""Lines of a program's errors that are shown."""
_RECAP = re.compile(r"^\S+\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)
_FATAL = re.compile(r"^(?:fatal|failed): \[[^\]]*\].*?=> (\{.*\})$", re.MULTILINE)
_WHERE = re.compile(r"(.*):(\d+)")


@dataclass(frozen=True)
class Job:
    """Which tree is configured or tested, by which role, for which commit."""

    system: System
    output: Output
    places: Places
    role: Role
    commit: Commit
    tree: str

    def artefact(self, *parts: str) -> str:
        """A path in the folder of the role's reports."""
        return self.places.role(self.role.name, "artefacts", *parts)

    def proven(self, step: str, summary: dict[str, Any]) -> None:
        """Notes that a step passed for the tree as it is now."""
        digest = content.tree_digest(content.read_tree(self.tree, self.role.exclude))
        now = proof.state(self.role, self.commit, self.tree, digest)
        proof.record(self.system, self.places, self.role, step, now, summary)


def run(job: Job) -> Result:
    """Configures the tree. A failed task is an error that names it, and there is no image."""
    if not job.system.is_root:
        raise NodeImageError(FAILED, "only root can configure a tree", hint="use sudo")
    if not job.role.has_playbook:
        line = f"{job.role.name} has no playbook, so there is nothing to configure"
        return Result({"role": job.role.name, "tasks": 0, "changed": False}, (line,))
    with locked(job.places.role(job.role.name), job.role.name):
        content.need_tree(job.tree)
        in_use.refuse(job.tree)
        _need_programs(job)
        proof.forget(job.system, job.places, job.role, "configure")
        done = _played(job)
        cases = _cases(job)
        _refuse(job, done, cases)
        recap = _recap(done)
        job.proven("configure", {"tasks": recap[0], "changed": recap[1]})
    line = f"configured: {recap[0]} tasks, {recap[1]} changed {job.tree}"
    data = {"role": job.role.name, "tasks": recap[0], "changed_tasks": recap[1], "changed": recap[1] > 0}
    next_line = f"next: nodeimage test {job.role.folder}"
    return Result({**data, "report": job.artefact("configure")}, (line, next_line))


def _need_programs(job: Job) -> None:
    if shutil.which("ansible-playbook") is None:
        raise missing_program("ansible-playbook", INSTALL)
    if not os.path.lexists(os.path.join(job.tree, PYTHON)):
        raise NodeImageError(
            PROGRAM, f"{job.tree} has no /{PYTHON}, which Ansible's modules need in it",
            hint='add "python3" to [tree] packages in image.toml (python3-minimal has too little)',
        )  # fmt: skip


def _played(job: Job) -> Outcome:
    report = job.artefact("configure")
    shutil.rmtree(report, ignore_errors=True)
    os.makedirs(report)
    environment = {
        **os.environ, "ANSIBLE_CALLBACKS_ENABLED": "junit", "JUNIT_OUTPUT_DIR": report,
        "JUNIT_HIDE_TASK_ARGUMENTS": "true", "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0",
        "ANSIBLE_STDOUT_CALLBACK": "default", "ANSIBLE_RETRY_FILES_ENABLED": "0",
        "SYSTEMD_OFFLINE": "1",  # systemctl(1): so units are enabled by links, whatever runs on this machine
        "ANSIBLE_REMOTE_TMP": "/tmp/.ansible",  # noqa: S108 - in the tree, and no image holds its /tmp
    }  # fmt: skip
    words = [
        "ansible-playbook", "--inventory", f"{job.tree},", "--connection", CONNECTION,
        "--extra-vars", f"ansible_python_interpreter=/{PYTHON}", job.role.playbook,
    ]  # fmt: skip

    def told(line: str) -> None:
        if line.startswith(("TASK [", "RUNNING HANDLER [")):
            job.output.say(line.rstrip("* "))

    done = job.system.follow(words, told, environment)
    with open(os.path.join(report, "log"), "wb") as file:
        file.write(done.out)
    return done


def _cases(job: Job) -> list[junit.Case]:
    folder = job.artefact("configure")
    reports = sorted(name for name in os.listdir(folder) if name.endswith(".xml"))
    return [case for name in reports for case in junit.read(os.path.join(folder, name))]


def _refuse(job: Job, done: Outcome, cases: Sequence[junit.Case]) -> None:
    """Raises NodeImageError for a task that failed, that only seems to have worked, or if none ran."""
    text = done.out.decode(errors="replace")
    if done.status:
        failed = [case for case in cases if case.outcome == "failed"]
        if not failed:
            raise _did_not_run(job, done, text)
        raise _task_error(job, failed[-1], _fatal(text))
    if _recap(done)[0] == 0:
        told = "\n".join(text.splitlines()[:SHOWN])
        raise NodeImageError(
            TASK, f"{job.role.playbook} ran no task in the tree", evidence=told,
            hint="its plays must name the tree: hosts: all",
        )  # fmt: skip
    for case in cases:
        if _seems_started(case):
            raise NodeImageError(
                TASK,
                f"the task {_task(case)!r} says that it started a service, and nothing starts in a tree",
                evidence=f"{_at(case)}\nwithout enabled: true, no node would start the service either",
                hint="write enabled: true, with or without state: started",
            )


def _did_not_run(job: Job, done: Outcome, text: str) -> NodeImageError:
    """Errors before any task: syntax, unknown modules, a missing connection."""
    lines = [line for line in text.splitlines() if line.strip()]
    begin = next((n for n, line in enumerate(lines) if line.startswith(("[ERROR]", "ERROR"))), -SHOWN)
    told = "\n".join(lines[begin:][:SHOWN])
    if CONNECTION in told:
        return NodeImageError(
            PROGRAM, f"Ansible has no connection {CONNECTION}", evidence=told,
            hint=f"ansible-galaxy collection install community.general, or: {INSTALL}",
        )  # fmt: skip
    return NodeImageError(
        TASK, f"ansible-playbook ended with status {done.status} before any task failed", evidence=told,
        hint=f"ansible-playbook --syntax-check {job.role.playbook}",
    )  # fmt: skip


def _task_error(job: Job, case: junit.Case, fatal: dict[str, Any]) -> NodeImageError:
    found = str(fatal.get("msg") or case.message).strip()
    more = str(fatal.get("stderr") or fatal.get("module_stderr") or "").strip().splitlines()[-SHOWN:]
    return NodeImageError(
        TASK,
        f"the task {_task(case)!r} failed",
        evidence="\n".join([_at(case), f"found: {found.splitlines()[0] if found else '?'}", *more]),
        hint=f"less {job.artefact('configure', 'log')}",
    )


def _fatal(text: str) -> dict[str, Any]:
    """The result of the last failed task, which the default output ends a line with as JSON."""
    for told in reversed(_FATAL.findall(text)):
        try:
            found = json.loads(told)
        except ValueError:
            continue
        return found if isinstance(found, dict) else {}
    return {}


def _recap(done: Outcome) -> tuple[int, int]:
    """How many tasks were all right, and how many of them changed something."""
    found = _RECAP.search(done.out.decode(errors="replace"))
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _seems_started(case: junit.Case) -> bool:
    """Whether a service module says that it started a service, as it does in a chroot, and enabled none."""
    try:
        told = json.loads(case.text) if case.outcome == "passed" else {}
    except ValueError:
        return False
    if not isinstance(told, dict) or told.get("state") != "started" or "status" not in told:
        return False
    return not told.get("enabled")


def _task(case: junit.Case) -> str:
    """The name of a task, without the host and the play that the report puts before it."""
    return case.name.split(": ", 1)[-1].strip()


def _at(case: junit.Case) -> str:
    found = _WHERE.fullmatch(case.place)
    return f"{found[1]}, line {found[2]}" if found else case.place
