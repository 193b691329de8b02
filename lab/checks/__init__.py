"""What `check.py` files import: `check`, `failed`, and the cluster as a check sees it."""

from lab.checks.api import Check, CheckFailedError, check, failed
from lab.checks.chroot import chroot_of
from lab.checks.cluster_view import ClusterView, NodeView
from lab.checks.conditions import conditions, meets, of_each_kind
from lab.checks.exercise_files import packed_files
from lab.checks.lasting import Coming, changed_since_packed, coming, require_packed, stands

__all__ = [
    "Check",
    "CheckFailedError",
    "ClusterView",
    "Coming",
    "NodeView",
    "changed_since_packed",
    "check",
    "chroot_of",
    "coming",
    "conditions",
    "failed",
    "meets",
    "of_each_kind",
    "packed_files",
    "require_packed",
    "stands",
]
