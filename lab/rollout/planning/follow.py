"""What becomes of nodes whose reboot was requested: how far each is, and whether it has passed."""

from __future__ import annotations

import re

from lab.rollout.planning import wanted
from lab.rollout.planning.actions import Drain, KillJobs, Release, Resume, Withdraw
from lab.rollout.planning.draft import Draft
from lab.rollout.planning.memory import Phase
from lab.rollout.planning.nodes import Node, Probe

REQUEST_AGAIN = 20.0
"""Seconds after which a request that Slurm does not show is repeated."""
ATTEMPTS = 3
SILENT = 3
"""Failed probes after which a node is left alone."""
_SLURMS_WORDS = re.compile(r"( : reboot (issued|complete|timed out))+$")
"""What slurmctld appends to whatever reason a node has while it reboots."""
_CRASHED = "Node unexpectedly rebooted"
"""Slurm's own words for a node that rebooted while it waited for jobs: no drain of somebody's."""
UNKNOWN_TO_SLURM = "Slurm no longer has this node"


def follow(draft: Draft, name: str) -> None:
    """Takes one node as far as what is known allows."""
    node = draft.view.get(name)
    phase = draft.records[name].phase
    if node is not None and not (node.unknown or node.reboot_pending or node.reboot_issued):
        draft.change(name, standing=False)
    if node is None:
        if phase is Phase.WAITING:
            draft.change(name, phase=Phase.LEFT, note=UNKNOWN_TO_SLURM)
        elif phase in (Phase.REQUESTED, Phase.BOOTING):
            draft.fail(name, UNKNOWN_TO_SLURM)
    elif phase is Phase.WAITING:
        _waiting(draft, node)
    elif node.unknown and not (node.reboot_pending or node.reboot_issued):
        if phase is Phase.BOOTING:
            _remember_drain(draft, node)
    elif phase is Phase.REQUESTED:
        _requested(draft, node)
    elif phase is Phase.BOOTING:
        _booting(draft, node)
    else:
        _final(draft, node)


def _waiting(draft: Draft, node: Node) -> None:
    """A withdrawn request may still stand, or have been too late; otherwise a probe may have answered."""
    ours = draft.ours(node) or draft.records[node.name].standing
    if ours and node.reboot_issued:
        _begin_boot(draft, node.name)
        _remember_drain(draft, node)
    elif ours and node.reboot_pending:
        if draft.foreign(node):
            _give_way(draft, node)
        draft.act(Withdraw(node.name))
    elif draft.leftover(node):
        _lift(draft, node)
    elif not draft.usable(node):
        draft.change(node.name, note=f"left alone: {node.describe()}")
    elif (probe := draft.probes.get(node.name)) is not None:
        _before(draft, node, probe)
    else:
        draft.change(node.name, note="")


def _before(draft: Draft, node: Node, probe: Probe) -> None:
    """A node must answer before its reboot: it could not be proven afterwards otherwise."""
    record = draft.records[node.name]
    if probe.silent:
        failed = record.silent + 1
        final = failed >= SILENT
        note = f"does not answer, so a reboot could not be proven: {probe.error or 'no boot id'}"
        phase = Phase.LEFT if final else Phase.WAITING
        draft.change(node.name, silent=failed, checked_at=draft.now, boot_id="", phase=phase, note=note)
        return
    draft.change(node.name, silent=0, checked_at=draft.now, boot_id=probe.boot_id, note="")
    right = not wanted.difference(draft.policy.wanted, probe.image) and probe.health == 0
    if right and not draft.policy.reboot_current:
        held = not node.available
        draft.change(node.name, phase=Phase.CURRENT, held=held, note="runs the wanted image already")
        if held:
            _release(draft, node)


def _requested(draft: Draft, node: Node) -> None:
    if node.reboot_issued:
        _begin_boot(draft, node.name)
        _remember_drain(draft, node)
    elif node.reboot_pending:
        _pending(draft, node)
    else:
        _settle(draft, node)


def _pending(draft: Draft, node: Node) -> None:
    """The node waits for its jobs."""
    record = draft.change(node.name, confirmed=True, attempts=0, note="waits for jobs" if node.busy else "")
    limit = draft.policy.kill_jobs_after
    if draft.foreign(node):
        _give_way(draft, node)
        draft.act(Withdraw(node.name))
    elif draft.halting or not draft.open:
        draft.change(node.name, phase=Phase.WAITING, note="request withdrawn")
        draft.act(Withdraw(node.name))
    elif limit is not None and node.busy and not record.killed and draft.now - record.since >= limit:
        draft.change(node.name, killed=True, note="its jobs were cancelled, as --kill-jobs-after says")
        draft.act(KillJobs(node.name))


def _give_way(draft: Draft, node: Node) -> None:
    """Somebody has drained a node that waits. If the reboot begins all the same, its end lifts that drain."""
    reason = _SLURMS_WORDS.sub("", node.reason) or "drained"
    draft.change(node.name, phase=Phase.LEFT, note="drained by somebody meanwhile", drain=reason)


def _lift(draft: Draft, node: Node) -> None:
    """Withdrawing a request keeps the drain that came before it, so ours is lifted by itself."""
    draft.act(Release(node.name, node.reason))


def _settle(draft: Draft, node: Node) -> None:
    """Slurm shows no request: it was never made, was cancelled, or the reboot is over already."""
    record = draft.records[node.name]
    probe = draft.probes.get(node.name)
    if probe is None:
        draft.look(node.name)
    elif probe.silent or probe.boot_id != record.boot_id:
        # An unconfirmed request on a node in service is no boot, even if the node does not answer just now.
        if record.confirmed or not probe.silent or not (node.available or draft.leftover(node)):
            _begin_boot(draft, node.name)
            _booting(draft, node)
        else:
            _unconfirmed(draft, node)
    elif record.confirmed:
        draft.change(node.name, phase=Phase.LEFT, note="somebody cancelled its reboot")
    else:
        _unconfirmed(draft, node)


def _unconfirmed(draft: Draft, node: Node) -> None:
    """The request may never have reached Slurm: the node queues again, under the floors as they are then."""
    record = draft.records[node.name]
    waited = draft.now - record.since >= REQUEST_AGAIN
    if draft.leftover(node):
        _lift(draft, node)
    elif draft.halting or not draft.open or not draft.usable(node) or (waited and record.attempts < ATTEMPTS):
        draft.change(node.name, phase=Phase.WAITING)
    elif waited:
        draft.fail(node.name, f"Slurm shows no reboot after {ATTEMPTS} requests; {record.note}".rstrip("; "))


def _begin_boot(draft: Draft, name: str) -> None:
    draft.change(
        name, phase=Phase.BOOTING, touched=True, since=draft.now, away_at=draft.now, ended_at=0, note=""
    )


def _remember_drain(draft: Draft, node: Node) -> None:
    """The reason of a drain that somebody set while the node reboots: its end lifts the drain."""
    if node.drained and node.reason and draft.foreign(node) and not node.reason.startswith(_CRASHED):
        draft.change(node.name, drain=_SLURMS_WORDS.sub("", node.reason))


def _booting(draft: Draft, node: Node) -> None:
    _remember_drain(draft, node)
    probe = draft.probes.get(node.name)
    if node.reboot_issued or node.reboot_pending:
        _unless_late(draft, node.name, "it has not returned: Slurm still waits for it to register")
    elif probe is None:
        draft.look(node.name)
    else:
        _judge(draft, node, probe)


def _judge(draft: Draft, node: Node, probe: Probe) -> None:
    """Done is a new boot id, the wanted image and a passed health check; all three, in this order."""
    name = node.name
    if probe.silent:
        _unless_late(draft, name, f"it does not answer: {probe.error or 'no boot id'}")
    elif probe.boot_id == draft.records[name].boot_id:
        _unless_late(draft, name, "its boot id is the old one: it has not rebooted")
    elif lacks := wanted.difference(draft.policy.wanted, probe.image):
        draft.fail(name, f"it returned with another image: {lacks}")
    elif probe.health != 0:
        _unless_late(draft, name, f"its health check failed ({probe.health}): {probe.says}".rstrip(": "))
    else:
        _passed(draft, node)


def _passed(draft: Draft, node: Node) -> None:
    if node.available:
        # Slurm's RESUME lifts drains but keeps their reasons.
        spoken = bool(node.reason) and draft.foreign(node)
        note = "somebody set a reason meanwhile: see scontrol show node" if spoken else ""
        draft.change(node.name, phase=Phase.DONE, note=note, held=False)
        _put_back(draft, node)
    elif not draft.foreign(node) and (node.drained or "DOWN" in node.states):
        _unless_late(draft, node.name, f"it passed, but Slurm keeps it {node.describe()}")
        if draft.records[node.name].phase is Phase.BOOTING:
            draft.act(Resume(node.name))
    elif (node.drained and not node.reason.startswith(_CRASHED)) or draft.records[node.name].drain:
        draft.change(node.name, phase=Phase.DONE, note="passed; somebody's drain was kept")
        _put_back(draft, node)
    else:
        _unless_late(draft, node.name, f"it passed, but Slurm keeps it {node.describe()}")


def _unless_late(draft: Draft, name: str, why: str) -> None:
    record = draft.change(name, note=why)
    if draft.now - record.since > draft.policy.deadline:
        draft.fail(name, why)


def _final(draft: Draft, node: Node) -> None:
    """What stays to do for a node that is final: keep it out of service, or put somebody's drain back."""
    record = draft.records[node.name]
    if record.standing and node.reboot_issued:
        _remember_drain(draft, node)
    elif record.phase is Phase.LEFT and node.reboot_pending and (record.standing or draft.ours(node)):
        draft.act(Withdraw(node.name))
    elif draft.leftover(node) and not record.touched:
        _lift(draft, node)
    record = draft.records[node.name]
    if record.phase is Phase.FAILED and record.touched:
        _keep_out(draft, node)
        return
    if record.phase is Phase.CURRENT and record.held:
        _release(draft, node)
    _put_back(draft, node)


def _keep_out(draft: Draft, node: Node) -> None:
    """Drains a node that did not pass, once. If it is back in service later, somebody has decided so."""
    record = draft.records[node.name]
    if node.available and not record.held:
        draft.hold(node.name)
    elif node.drained and not (node.reboot_pending or node.reboot_issued):
        draft.change(node.name, held=True, drain="")


def _release(draft: Draft, node: Node) -> None:
    """Returns a node that an earlier attempt took out of service, and that has turned out to be right."""
    if not (draft.foreign(node) or node.available):
        draft.act(Resume(node.name))
    else:
        draft.change(node.name, held=False)


def _put_back(draft: Draft, node: Node) -> None:
    record = draft.records[node.name]
    if not record.drain or node.reboot_pending or node.reboot_issued or node.unknown:
        return
    if not node.drained:
        draft.act(Drain(node.name, record.drain))
        draft.change(node.name, note="somebody's drain was put back")
    elif draft.foreign(node):
        draft.change(node.name, drain="")
