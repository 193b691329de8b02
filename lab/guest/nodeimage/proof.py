"""The gate: what configure and test have shown of a tree, and for which commit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lab.guest.nodeimage.commit import Commit
from lab.guest.nodeimage.errors import UNPROVEN, USAGE, NodeImageError
from lab.guest.nodeimage.places import Places, read_json, write_json
from lab.guest.nodeimage.role import Role
from lab.guest.system import System

FILE = "proof.json"


@dataclass(frozen=True)
class State:
    """What a proof holds for: a tree in one state, a commit, and the files of the role."""

    tree: str
    digest: str
    commit: str
    role: str


def state(role: Role, commit: Commit, tree: str, digest: str) -> State:
    """The state that is to be proven, or to be packed."""
    return State(tree, digest, commit.sha, role.digest())


def record(
    system: System, places: Places, role: Role, step: str, now: State, summary: Mapping[str, Any]
) -> None:
    """Notes that a step succeeded in this state. What was proven of later steps before no longer counts."""
    path = places.role(role.name, FILE)
    known = read_json(path) if step == "test" else {}
    write_json(system, path, {**known, step: {**vars(now), "summary": dict(summary)}})


def forget(system: System, places: Places, role: Role, step: str) -> None:
    """Takes a proof back, before the step that may change the tree runs again."""
    path = places.role(role.name, FILE)
    known = read_json(path) if step == "test" else {}
    write_json(system, path, {key: value for key, value in known.items() if key != step})


def check(places: Places, role: Role, now: State) -> dict[str, Any]:
    """The summary of the tests. Raises NodeImageError unless every step of the role passed in this state."""
    steps = (["configure"] if role.has_playbook else []) + ([] if role.untested else ["test"])
    found = read_json(places.role(role.name, FILE))
    for step in steps:
        known = found.get(step, {})
        why = _differs(known, now, last=step == steps[-1])
        if why:
            again = " and ".join(f"nodeimage {one} {role.folder}" for one in steps[steps.index(step) :])
            raise NodeImageError(
                UNPROVEN,
                f"there is no image of {role.name}: {step} has not passed for this tree and this commit",
                evidence=why,
                hint=again,
            )
    summary = found.get("test", {}).get("summary", {})
    return summary if not role.untested and isinstance(summary, dict) else {}


def _differs(known: Mapping[str, Any], now: State, *, last: bool) -> str:
    """Why a proof does not hold for a state; empty if it does.

    Testing follows configuring and may touch the tree, so the last step alone must have seen it as it is now.
    """
    if not known:
        return "it has not passed since the tree was made or configured"
    if known.get("commit") != now.commit:
        return f"it passed for commit {known.get('commit')}, and this is {now.commit}"
    if known.get("role") != now.role:
        return "files of the role have changed since"
    if known.get("tree") != now.tree:
        return f"it passed for {known.get('tree')}, and this is {now.tree}"
    if last and known.get("digest") != now.digest:
        return "files of the tree have changed since"
    return ""


def need_tests(role: Role, *, found: bool) -> None:
    """Refuses a role without tests, unless it says so itself."""
    if not found and not role.untested:
        raise NodeImageError(
            USAGE,
            f"the role {role.name} has no tests",
            hint=f"write {role.tests}/test_*.py or {role.goss}, or set [test] untested = true in image.toml",
        )
