"""The running controller beside slurm.conf on the SMS: what a check wants must be in both.

What only the running controller has is gone after its next start; what only the file has is not in effect.
"""

from __future__ import annotations

from collections.abc import Callable

from lab.checks.api import CheckFailedError, failed
from lab.checks.cluster_view import ClusterView
from lab.facts import slurm, slurm_conf
from lab.facts.partitions import Queue, queues

Setting = Callable[[str], str]
"""Returns a setting by its name in any case, "" if it is not set."""
NOT_READ = (
    "slurm.conf is as it should be, but the controller has not read it: `sudo scontrol reconfigure`."
    " If that fails, /var/log/slurm/slurmctld.log says why."
)
NOT_WRITTEN = (
    "The running controller is as it should be, but reads slurm.conf when it starts again."
    " `scontrol create` and `scontrol update` do not change that file."
)


def slurm_conf_of(cluster: ClusterView) -> slurm_conf.SlurmConf:
    """Reads slurm.conf on the SMS, with all files that it includes."""
    return slurm_conf.parse(lambda path: cluster.sms.fact(slurm_conf.text(path)))


def require_partitions(
    cluster: ClusterView, fault: Callable[[dict[str, Queue]], CheckFailedError | None]
) -> None:
    """Fails if there is a fault in the partitions of the running controller, or in those of slurm.conf."""
    require_both(
        fault(cluster.sms.fact(queues)),
        fault(slurm_conf_of(cluster).queues),
        look=f"grep -i PartitionName {slurm_conf.PATH}",
    )


def require_settings(
    cluster: ClusterView, fault: Callable[[Setting], CheckFailedError | None], *, key: str
) -> None:
    """Fails if there is a fault in the settings of the running controller, or in those of slurm.conf.

    `key` is how the names of these settings begin.
    """
    running = {name.lower(): value for name, value in cluster.sms.fact(slurm.config).items()}
    require_both(
        fault(lambda name: running.get(name.lower(), "")),
        fault(slurm_conf_of(cluster).setting),
        look=f"grep -i ^{key} {slurm_conf.PATH}",
    )


def require_both(running: CheckFailedError | None, written: CheckFailedError | None, *, look: str) -> None:
    """Fails unless neither the running controller nor slurm.conf is at fault; the message says which is.

    `look` is the command that shows the lines of slurm.conf.
    """
    if written is None and running is not None:
        raise failed(
            expected=running.expected,
            actual=running.actual,
            hint=NOT_READ,
            node=running.node,
            look=running.look,
        )
    if running is not None:
        raise running
    if written is not None:
        raise failed(
            expected=f"{written.expected}, in slurm.conf as in the running controller",
            actual=f"in slurm.conf: {written.actual}",
            hint=NOT_WRITTEN,
            node="sms",
            look=look,
            final=True,
        )
