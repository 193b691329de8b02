"""What `check.py` files import: `check`, `failed`, and the cluster as a check sees it."""

from lab.checks.api import Check, CheckFailedError, check, failed
from lab.checks.chroot import chroot_of
from lab.checks.cluster_view import ClusterView, NodeView
from lab.checks.conditions import conditions, files_with_conditions, meets, of_each_kind
from lab.checks.exercise_files import packed_files
from lab.checks.hub_conf import coming_hub
from lab.checks.lasting import changed_since_packed, coming, given_files, require_packed, stands
from lab.checks.next_boot import bootstrap_of, image_of, not_in_bootstrap, not_packed, one_for_each_vnfs
from lab.checks.slurm_conf import require_both, require_partitions, require_settings, slurm_conf_of
from lab.checks.trial import MARK, NO_ROOM, trial, trial_parts

__all__ = [
    "MARK",
    "NO_ROOM",
    "Check",
    "CheckFailedError",
    "ClusterView",
    "NodeView",
    "bootstrap_of",
    "changed_since_packed",
    "check",
    "chroot_of",
    "coming",
    "coming_hub",
    "conditions",
    "failed",
    "files_with_conditions",
    "given_files",
    "image_of",
    "meets",
    "not_in_bootstrap",
    "not_packed",
    "of_each_kind",
    "one_for_each_vnfs",
    "packed_files",
    "require_both",
    "require_packed",
    "require_partitions",
    "require_settings",
    "slurm_conf_of",
    "stands",
    "trial",
    "trial_parts",
]
