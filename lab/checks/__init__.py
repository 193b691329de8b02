"""What authors of `check.py` files import: `check`, `failed`, and the cluster as a check sees it."""

from lab.checks.api import Check, CheckFailedError, check, failed
from lab.checks.chroot import chroot_of
from lab.checks.parcel import parcel
from lab.checks.view import Cluster, NodeView

__all__ = ["Check", "CheckFailedError", "Cluster", "NodeView", "check", "chroot_of", "failed", "parcel"]
