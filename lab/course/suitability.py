"""Decides whether a lab can offer an exercise: its roles, and what its engine and its trust allow."""

from __future__ import annotations

from lab.backends.base import Backend
from lab.course.catalog import Catalog, Exercise
from lab.errors import UsageError
from lab.model import ClusterSpec, Role, Trust

JUPYTER_HINT = (
    "lab images build sms-jupyter, then: lab down -l {0}, and lab up -l {0} --set jupyter=true; "
    "or give a second lab another name"
)
RUNNER_HINT = "lab images build runner, then: lab up -l {} --set runner.count=1"


def needs(catalog: Catalog, exercise: Exercise) -> frozenset[str]:
    """Returns what the backend must be able to do for an exercise and those that lead to it."""
    chain = (*catalog.chain(exercise), exercise)
    return frozenset(need for one in chain for need in one.capabilities)


def withheld(catalog: Catalog, exercise: Exercise, spec: ClusterSpec, backend: Backend) -> list[str]:
    """Lists what an exercise needs and a lab does not offer: rights on the host, software."""
    software = [] if spec.jupyter else list(exercise.software)
    if spec.trust is Trust.LEARNER:
        return software
    return sorted(needs(catalog, exercise) & backend.rights_needed_for) + software


def require_suitable(catalog: Catalog, exercise: Exercise, spec: ClusterSpec, backend: Backend) -> None:
    """Raises a UsageError if the lab lacks a role, or a capability that also an earlier exercise may need."""
    roles = {node.role for node in spec.nodes}
    lacking = [role.value for role in exercise.roles if role not in roles]
    if lacking:
        raise UsageError(
            f"{exercise.name} needs a node of role {', '.join(lacking)}, and lab {spec.lab} has none",
            hint=RUNNER_HINT.format(spec.lab)
            if Role.RUNNER.value in lacking
            else "add such a node to lab.toml, then: lab up",
        )
    if exercise.software and not spec.jupyter:
        raise UsageError(
            f"{exercise.name} needs Jupyter on shared storage, and lab {spec.lab} was made without it",
            hint=JUPYTER_HINT.format(spec.lab),
        )
    if not (needed := needs(catalog, exercise)):
        return
    if kept := withheld(catalog, exercise, spec, backend):
        raise UsageError(
            f"{exercise.name} needs {', '.join(kept)}, and root in a node of lab {spec.lab} has no "
            "rights on the host",
            hint="docs/security.md; lab up -l NAME --set trust=learner makes a lab that offers it",
        )
    if missing := sorted(needed & backend.probe().missing):
        raise UsageError(
            f"{exercise.name} needs {', '.join(missing)}, and {spec.backend} does not offer it here",
            hint="lab exercises shows what each exercise needs",
        )
