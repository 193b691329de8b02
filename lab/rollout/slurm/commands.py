"""The Slurm shell: looks at nodes and asks for reboots through scontrol and scancel."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from lab.rollout.errors import SLURM, RolloutError, printable
from lab.rollout.planning.nodes import Node
from lab.rollout.programs import Finished, run
from lab.rollout.slurm import parse

TIMEOUT = 30.0
"""scontrol repeats by itself what a controller does not answer; this ends it."""


HELD = "was out of service"
"""Follows the token in the reason of a node that was not in service when its reboot was requested."""


class SlurmError(Exception):
    """A command of Slurm's failed; the text says which and why."""


@dataclass(frozen=True)
class Slurm:
    """Slurm's commands."""

    token: str = ""
    prove_first: bool = False
    execute: Callable[..., Finished] = run
    topology: Mapping[str, tuple[str, ...]] | None = None

    def look(self) -> dict[str, Node]:
        """Every node. Raises `SlurmError`."""
        found = self._nodes("scontrol", "show", "nodes", "--json")
        places = self.topology or {}
        return {name: replace(node, switches=places.get(name, ())) for name, node in found.items()}

    def look_at(self, name: str) -> Node | None:
        """One node, as it is this moment. Raises `SlurmError`."""
        return self._nodes("scontrol", "show", "node", name, "--json").get(name)

    def request(self, name: str, *, in_service: bool) -> None:
        """Drains a node, and reboots and returns it when its jobs have ended. Raises `SlurmError`.

        The drain comes first: one that `reboot ASAP` sets itself is lifted when the reboot is cancelled,
        whoever has drained the node since (slurmctld/proc_req.c, _slurm_rpc_reboot_nodes; node_mgr.c,
        update_node and _undo_reboot_asap). And the reboot has no reason, as it would replace that of somebody
        who drains in between.
        """
        self.drain(name, self.token if in_service else f"{self.token} {HELD}")
        following = "DOWN" if self.prove_first else "RESUME"
        self._run("scontrol", "reboot", "ASAP", f"nextstate={following}", name)

    def withdraw(self, name: str) -> None:
        """Cancels a reboot that has not begun; the drain stays. Raises `SlurmError`."""
        self._run("scontrol", "cancel_reboot", name)

    def release(self, name: str) -> None:
        """Lifts a drain; a node that is down stays so. Raises `SlurmError`."""
        self._run("scontrol", "update", f"NodeName={name}", "State=UNDRAIN")

    def resume(self, name: str) -> None:
        """Returns a node to service. Raises `SlurmError`."""
        self._run("scontrol", "update", f"NodeName={name}", "State=RESUME")

    def drain(self, name: str, reason: str) -> None:
        """Takes a node out of service. Raises `SlurmError`."""
        self._run("scontrol", "update", f"NodeName={name}", "State=DRAIN", f"Reason={reason}")

    def kill_jobs(self, name: str) -> None:
        """Cancels all jobs on a node. Raises `SlurmError`."""
        self._run("scancel", f"--nodelist={name}", "--state=RUNNING")

    def with_topology(self) -> Slurm:
        """The same, knowing which switches each node is below. Raises `SlurmError`."""
        places: dict[str, tuple[str, ...]] = {}
        for switch, hosts in parse.switches(self._text("scontrol", "show", "topology")):
            for name in self.expanded(hosts):
                places[name] = (*places.get(name, ()), switch)
        return replace(self, topology=places)

    def expanded(self, hosts: str) -> list[str]:
        """The names in a hostlist such as c[1-4,7]. Raises `SlurmError`."""
        if hosts.startswith("-"):
            raise SlurmError(f"{printable(hosts)} is no list of nodes")
        return self._text("scontrol", "show", "hostnames", hosts).split()

    def check(self) -> None:
        """Raises `RolloutError` if Slurm cannot reboot nodes."""
        try:
            program = parse.reboot_program(self._text("scontrol", "show", "config"))
        except SlurmError as error:
            raise no_slurm(error) from None
        if not program:
            raise RolloutError(
                SLURM,
                "Slurm cannot reboot nodes: RebootProgram is not set",
                evidence="scontrol show config: RebootProgram = (null)",
                hint='add RebootProgram="/sbin/shutdown -r now" to slurm.conf, then: scontrol reconfigure',
            )

    def _nodes(self, *command: str) -> dict[str, Node]:
        try:
            return parse.nodes(self._run(*command).out)
        except parse.ParseError as error:
            raise SlurmError(f"{' '.join(command)} printed no list of nodes: {error}") from None

    def _text(self, *command: str) -> str:
        return self._run(*command).out.decode("utf-8", "backslashreplace")

    def _run(self, *command: str) -> Finished:
        done = self.execute(command, TIMEOUT)
        if not done.ok:
            raise SlurmError(f"{' '.join(command)}: {printable(done.evidence(), 300)}")
        return done


def no_slurm(error: SlurmError) -> RolloutError:
    """The error for a Slurm that does not answer."""
    return RolloutError(
        SLURM, "Slurm does not answer", evidence=str(error), hint="scontrol ping; scontrol show nodes --json"
    )


def chosen(
    slurm: Slurm, view: Mapping[str, Node], hosts: str, exclude: str, partitions: Iterable[str]
) -> list[str]:
    """The nodes that a rollout is about, in the order in which they were given. Raises `SlurmError`."""
    names = slurm.expanded(hosts) if hosts else list(view)
    without = set(slurm.expanded(exclude)) if exclude else set()
    wanted = set(partitions)
    kept = [name for name in dict.fromkeys(names) if name not in without]
    return [name for name in kept if not wanted or name not in view or wanted & set(view[name].partitions)]
