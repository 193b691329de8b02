"""A lab's life: up, down, power, snapshots, and waiting until its nodes are ready."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from operator import not_
from pathlib import Path
from typing import Self

from lab.backends.actions import Action, Verb, nodes_of
from lab.backends.base import Backend, Say
from lab.cluster import availability
from lab.cluster.boot_record import BootRecord
from lab.cluster.observation import ask_sms, observe
from lab.cluster.plan import check_names, freshly_powered, plan_up, select, work
from lab.cluster.readiness import (
    ClusterSnapshot,
    Reading,
    decided,
    evaluate,
    nodes_to_put_back,
    nodes_to_resume,
    not_up,
)
from lab.cluster.repower import Repower
from lab.errors import LabError
from lab.facts.slurm import NodeInfo
from lab.host_speed import LOOK
from lab.model import BOOTED, ClusterSpec, LabRecord, NodeStatus, Power
from lab.nodes.client import NodeClient
from lab.polling import POLL, Clock, Limit, Sleep, monotonic, pause, wait_for

UP_SECONDS = 180.0
LOOK_SECONDS = 8.0  # how long one look at the SMS may take
Watch = Callable[[Sequence[Reading], float], None]
"""Takes the readings of each look, and the seconds since waiting began."""


class Cluster:
    """One lab on one backend; `say` gets a line for each step, `watch` every look while waiting."""

    def __init__(
        self,
        spec: ClusterSpec,
        backend: Backend,
        *,
        say: Say = lambda _line: None,
        watch: Watch = lambda _readings, _seconds: None,
        timeout: float | None = None,
        transcripts: Path | None = None,
        clock: Clock = monotonic,
        sleep: Sleep = pause,
    ) -> None:
        self.spec = spec
        self.backend = backend
        self.say = say
        self.watch = watch
        self.timeout = timeout  # as a person gave it; None: a limit that follows the host's speed
        self._transcripts = transcripts
        self._clock = clock
        self._sleep = sleep
        self._boot = BootRecord(spec, backend)
        self._handles: dict[str, NodeClient] = {}
        self._lock = threading.Lock()

    # nodes

    @property
    def sms(self) -> NodeClient:
        """The head node."""
        return self.node(self.spec.sms.name)

    @property
    def nodes(self) -> tuple[NodeClient, ...]:
        """All nodes, in the lab's order."""
        return tuple(self.node(node.name) for node in self.spec.nodes)

    def node(self, name: str) -> NodeClient:
        """The node of that name; a UsageError when there is none."""
        check_names(self.spec, [name])
        with self._lock:
            if name not in self._handles:
                self._handles[name] = NodeClient(
                    self.spec.lab, self.spec.node(name), self.backend, self._transcripts
                )
            return self._handles[name]

    def close(self) -> None:
        """Closes every open shell."""
        with self._lock:
            for handle in self._handles.values():
                handle.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # up and down

    def record(self) -> LabRecord | None:
        """What the engine remembers of this lab; None when there is no such lab."""
        return next((record for record in self.backend.labs() if record.lab == self.spec.lab), None)

    def plan(self, names: Iterable[str] = ()) -> tuple[Action, ...]:
        """What `up` would do now; changes nothing."""
        chosen = select(self.spec, names)
        record = self.record()
        if record is None:
            return plan_up(self.spec, None, (), chosen)
        if record.pending and record.pending not in self.states():
            raise LabError(
                f"the lab was interrupted on its way to {record.pending}, which no longer exists",
                hint="lab restore handout, or lab start EXERCISE",
            )
        stale = () if record.pending else self.backend.stale(self.spec)
        return plan_up(self.spec, record, self.backend.status(self.spec.lab), chosen, stale)

    def up(
        self,
        names: Iterable[str] = (),
        *,
        wait: bool = True,
        confirm: Callable[[Sequence[Action]], None] = lambda _actions: None,
    ) -> tuple[Reading, ...]:
        """Plans once, shows that plan, has `confirm` agree to it, executes it, and waits for the nodes.

        `confirm` raises when the user does not agree. Returns the last readings; some nodes may be left as
        an operator set them. Raises a LabError when a node is not ready at the deadline.
        """
        chosen = select(self.spec, names)
        actions = self.plan(names)
        to_do = work(actions)
        for action in to_do:
            self.say(action.text)
        confirm(actions)
        began = self._clock()
        self._execute(to_do)
        if not wait:
            return ()
        readings = self.wait(chosen, began=began)
        if set(nodes_of(actions, Verb.CREATE)) == set(chosen) == {node.name for node in self.spec.nodes}:
            self.backend.on_first_ready(self.spec.lab, self.say)
        return readings

    def _execute(self, actions: Sequence[Action]) -> None:
        """Executes a plan; a lab is half of either state until an interrupted restore is completed."""
        record = self.record()
        if nodes_of(actions, Verb.REMAKE, Verb.REMOVE, Verb.RESTART):
            self.close()  # shells into nodes that go away
        if record is not None and record.pending:
            self.restore(record.pending, wait=False)
        rest = [action for action in actions if action.verb is not Verb.RESTORE]
        if powered := freshly_powered(rest):
            self._boot.begin(powered, self._in_service())
        if rest:
            self.backend.apply(self.spec, rest, self.say)

    def down(self, names: Sequence[str] = ()) -> None:
        """Removes the lab, or only the named nodes."""
        self.close()
        self.backend.delete(self.spec.lab, self.say, list(names) or None)
        if not names:
            self._boot.forget()

    def recreate(self) -> None:
        """Removes the lab and creates it again."""
        self.down()
        self.up()

    # power

    def power_on(self, names: Sequence[str], *, wait: bool = True) -> tuple[Reading, ...]:
        """Powers nodes on and waits until they are ready."""
        check_names(self.spec, names)
        began = self._clock()
        self._boot.begin(self._with_power(names, Power.OFF), self._in_service())
        self.backend.start(self.spec.lab, names)
        return self.wait(names, began=began) if wait else ()

    def power_off(self, names: Sequence[str], *, hard: bool = False) -> None:
        """Powers nodes off: asks their system, or (hard) pulls the plug; waits until they are off."""
        check_names(self.spec, names)
        self.backend.stop(self.spec.lab, names, hard=hard)
        limit = self._limit(self._clock())
        left = wait_for(lambda: self._with_power(names, Power.ON), limit, self._clock, self._sleep, done=not_)
        if left:
            raise LabError(
                f"still under power after {limit.waited:.0f} s: {', '.join(sorted(left))}",
                evidence=limit.reason,
                hint=f"lab power off --hard {' '.join(sorted(left))}",
            )

    def cycle(self, *names: str, hard: bool = True, wait: bool = True) -> tuple[Reading, ...]:
        """Powers nodes off and on again, and waits until they are ready; other nodes are left alone."""
        began = self._clock()
        self._boot.begin(names, self._in_service())
        self.power_off(names, hard=hard)
        self.backend.start(self.spec.lab, names)
        return self.wait(names, began=began) if wait else ()

    def reset(self, name: str) -> tuple[Reading, ...]:
        """Makes a machine anew, and has Slurm give it jobs, whoever took it out of service.

        The SMS is only powered off and on: its disk is the learner's work.
        """
        if name == self.spec.sms.name:
            return self.cycle(name)
        began = self._clock()
        self.node(name).close()
        self._boot.begin([name], self._in_service())
        self.backend.apply(self.spec, [Action(Verb.REMAKE, (name,))], self.say)
        return self.wait([name], began=began, reset=[name])

    # snapshots

    def snapshots(self) -> tuple[str, ...]:
        """Names of the snapshots kept, oldest first."""
        return self.backend.snapshots(self.spec.lab)

    def snapshot(self, name: str) -> None:
        """Keeps the lab's present state under a name, and with it which nodes Slurm has in service."""
        self._save(name, self.backend.snapshot)

    def base_id(self) -> str:
        """Identifies what an SMS made now is made of."""
        return self.backend.base_id(self.spec)

    def states(self) -> tuple[str, ...]:
        """Names of the states that the lab can go to: its snapshots, and the start states of all labs."""
        shared = self.backend.shared_states
        return (*self.snapshots(), *(state.name for state in (shared.list() if shared else ())))

    def save_state(self, name: str) -> None:
        """Saves the present state, reached under an ephemeral identity, for all labs.

        Where the backend has no states for all labs it becomes a snapshot of this one.
        """
        shared = self.backend.shared_states
        self._save(name, shared.save if shared else self.backend.snapshot)

    def delete_states(self, names: Sequence[str]) -> None:
        """Removes start states, wherever they are stored."""
        own = set(names).intersection(self.snapshots())
        for name in own:
            self.backend.forget(self.spec.lab, name)
        if shared := self.backend.shared_states:
            shared.delete([name for name in names if name not in own])

    def _save(self, name: str, take: Callable[[str, str, Say], None]) -> None:
        nodes = self._nodes()
        if nodes:
            availability.await_saved_jobs(self.sms)
        noted = availability.write_note(self.sms, name, nodes)
        try:
            take(self.spec.lab, name, self.say)
        finally:
            if noted:
                availability.remove_note(self.sms)

    def restore(
        self, name: str, *, wait: bool = True, ephemeral_identity: bool = False
    ) -> tuple[Reading, ...]:
        """Goes to a snapshot or a start state, and waits until the nodes that have power there stand as then.

        With `ephemeral_identity` the lab is under keys and passwords of no lab until the next `restore`.
        """
        self.close()
        began = self._clock()
        names = [node.name for node in self.spec.nodes]
        self._boot.restoring()
        self.backend.restore(self.spec.lab, name, self.say, ephemeral_identity=ephemeral_identity)
        self._boot.begin(names, restored=name)
        powered = self._with_power(names, Power.ON)
        self._boot.finish([name for name in names if name not in powered])
        return self.wait([name for name in names if name in powered], began=began) if wait else ()

    # looking and waiting

    def look(
        self, powered: Collection[str] = (), elapsed: float = 0.0, restored: str = ""
    ) -> ClusterSnapshot:
        """Looks at everything once; `powered` are nodes powered on at most `elapsed` seconds ago."""
        began = self._clock()
        statuses = self.backend.status(self.spec.lab)
        found = observe(self.spec, statuses, self._ask, self.backend.host_speed.slowness)
        saved_states = availability.read(found.sms.service, restored) if restored else {}
        return replace(
            found,
            powered=frozenset(powered),
            elapsed=elapsed,
            took=self._clock() - began,
            saved_states=saved_states,
        )

    def wait(
        self, names: Iterable[str], *, began: float | None = None, reset: Collection[str] = ()
    ) -> tuple[Reading, ...]:
        """Waits until every named node is ready, or in a state that a person set; a LabError at the deadline.

        Completes what this command, or an interrupted one before it, began: nodes that Slurm takes out of
        service because the lab powered them on are put back into service, as an operator would. After a
        snapshot was restored, every node is put where it stood then.
        """
        chosen = list(names)
        start = self._clock() if began is None else began
        boot, age = self._boot.current, self._boot.age
        first_look = self._clock()
        notified: set[str] = set()
        again = self._repower()

        def readings() -> tuple[Reading, ...]:
            seen = self.look(boot.nodes, age + self._clock() - first_look, boot.restored)
            again.crashed(seen)
            told, before = frozenset(notified), frozenset(boot.available_before)
            view = replace(seen, restored_nodes=told, available_before=before, reset=frozenset(reset))
            self._tell_slurm(view, notified)
            found = evaluate(self.spec, view, chosen)
            again.standing(view, found)
            self.watch(found, self._clock() - start)
            return found

        # Each look takes processor time from nodes that boot, the more so where processors are emulated;
        # nodes that were restored have nothing else to do.
        limit, quick = self._limit(start), POLL * self.backend.host_speed.backend_scale
        every = quick if boot.restored else quick * self.backend.host_speed.backend_scale
        last = wait_for(readings, limit, self._clock, self._sleep, done=decided, every=every, first=quick)
        left = self._boot.finish([reading.node for reading in last if reading.settled])
        if boot.restored and not left.nodes:
            availability.remove_note(self.sms)
        if not all(reading.settled for reading in last):
            raise not_up(self.spec, last, self._clock() - start, self.last_line, limit.reason)
        return last

    def _tell_slurm(self, view: ClusterSnapshot, notified: set[str]) -> None:
        """Puts nodes into the availability that they had before the lab rebooted or restored them."""
        nodes = view.sms.nodes or {}
        resume, put_back = nodes_to_resume(view), nodes_to_put_back(view)
        availability.report(self.sms, resume, put_back, nodes, notified, self.say)

    def _repower(self) -> Repower:
        def ask(name: str, command: str) -> str:
            return self.node(name).execute(command, timeout=LOOK_SECONDS).stdout

        def cut(name: str) -> None:
            self.node(name).close()
            self.backend.stop(self.spec.lab, [name], hard=True)
            self.backend.start(self.spec.lab, [name])

        return Repower(self.spec, self.backend, self.say, ask=ask, cut=cut, clock=self._clock)

    def last_line(self, name: str) -> str:
        """The last line a node wrote to its console, or "" where there is none."""
        try:
            text = b"".join(self.backend.console(self.spec.lab, name, follow=False, tail=20))
        except LabError:
            return ""
        lines = [line.strip() for line in text.decode("utf-8", errors="replace").splitlines()]
        return next((line for line in reversed(lines) if line), "")

    def _nodes(self) -> Mapping[str, NodeInfo]:
        """What Slurm knows of the nodes; nothing where nobody can be asked."""
        booted = _stage({s.name: s for s in self.backend.status(self.spec.lab)}, self.spec.sms.name) == BOOTED
        return (ask_sms(self._ask, self.spec.sms.name).nodes if booted else None) or {}

    def _in_service(self) -> frozenset[str]:
        if self.record() is None:
            return frozenset()
        return frozenset(name for name, info in self._nodes().items() if info.takes_jobs)

    def _limit(self, began: float) -> Limit:
        """How long nodes may take to come up or go down: as a person said, else by the host's speed."""
        if self.timeout is not None:
            return Limit(self.timeout, clock=self._clock, began=began)
        return self.backend.host_speed.limit(UP_SECONDS, clock=self._clock, began=began)

    def _ask(self, name: str, command: str) -> tuple[int, str]:
        result = self.node(name).run(command, timeout=LOOK_SECONDS)
        if name == self.spec.sms.name and result.exit_status == 0:
            self.backend.host_speed.note(result.seconds, LOOK)
        return result.exit_status, result.output

    def _with_power(self, names: Iterable[str], power: Power) -> frozenset[str]:
        wanted = set(names)
        return frozenset(
            status.name
            for status in self.backend.status(self.spec.lab)
            if status.power is power and status.name in wanted
        )


def _stage(statuses: dict[str, NodeStatus], name: str) -> str:
    return statuses[name].stage if name in statuses else ""
