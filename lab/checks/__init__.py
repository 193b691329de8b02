"""What `check.py` files import: `check`, `failed`, and the cluster as a check sees it."""

from lab.checks.api import Check, CheckFailedError, check, failed
from lab.checks.chroot import chroot_of
from lab.checks.cluster_view import ClusterView, NodeView
from lab.checks.exercise_files import packed_files
from lab.checks.next_boot import bootstrap_of, image_of, not_packed, one_for_each_vnfs
from lab.checks.slurm_conf import require_both, require_partitions, require_settings, slurm_conf_of

__all__ = [
    "Check",
    "CheckFailedError",
    "ClusterView",
    "NodeView",
    "bootstrap_of",
    "check",
    "chroot_of",
    "failed",
    "image_of",
    "not_packed",
    "one_for_each_vnfs",
    "packed_files",
    "require_both",
    "require_partitions",
    "require_settings",
    "slurm_conf_of",
]
