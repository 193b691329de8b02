"""Locks of labs as volumes of the engine: every account and host that may use the engine sees them.

A command that wants a lab makes a volume of its own, its ticket, and then lists all tickets for that lab.
Whoever sees no other has the lock: of two that have both listed, the later saw the earlier's. Tickets have
names of their own, so nobody removes another's by mistake. A volume needs no daemon, no image and no rights
beyond the engine's, and takes milliseconds.

A ticket names its process. On the same host, the kernel says whether that still runs. From another host
nobody can see that: there the holder makes its ticket anew every minute, and one that was not is void. The
engine's clock dates tickets, so clocks of hosts do not matter.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from lab.backends.docker.engine import HOLDER, LOCKED, translate_errors
from lab.backends.object_names import PREFIX
from lab.errors import LabError
from lab.lock import refused, waiting
from lab.lock_holder import Holder, Life, holder_from_json, life, this_place, this_process
from lab.polling import Clock, Sleep, monotonic, pause

if TYPE_CHECKING:
    from lab.backends.docker.engine import Engine

RENEWED = 60.0  # seconds between two tickets of one holder
VOID = 300.0  # seconds after which the ticket of a holder that cannot be seen counts no more
YIELDS = 2.0  # seconds in which of two commands that began at once the later one steps back
AGAIN = 0.5  # seconds between two attempts of a command that waits
GLANCE = 0.1
FULL = "no space left on device"
UNLOCKED = "the engine's disk is full, so nothing keeps other commands from changing lab {}"
HEARTBEAT = (
    "that process cannot be seen from here; the lock ends {:.0f} s after its last sign of life, {:.0f} s ago"
)


@dataclass(frozen=True)
class _Ticket:
    """A ticket as the engine lists it; names begin with the time, so they sort by age."""

    name: str
    lab: str
    holder: Holder | None
    made: float  # seconds since 1970 by the engine's clock


class EngineLocks:
    """The locks of one engine's labs (`lab.lock.Locks`)."""

    def __init__(
        self,
        engine: Callable[[], Engine],
        clock: Clock = time.time,
        sleep: Sleep = pause,
        see: Callable[[Holder], Life] | None = None,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._sleep = sleep
        here = this_place()
        self._see = see or (lambda holder: life(holder, here))

    @contextmanager
    def hold(
        self, lab: str, command: str, say: Callable[[str], None], *, wait: bool = False
    ) -> Iterator[None]:
        """Locks the lab for a block, as `lab.lock.Locks` says."""
        me = this_process(command, self._clock())
        token = f"{PREFIX}_lock_{time.time_ns():020d}{secrets.token_hex(4)}"
        labels = {LOCKED: lab, HOLDER: me.to_json()}
        self._take(token, lab, labels, say, wait=wait)
        stop = threading.Event()
        keeper = threading.Thread(target=self._renew, args=(token, labels, stop), daemon=True)
        keeper.start()
        try:
            yield
        finally:
            stop.set()
            keeper.join()

    def _take(
        self, token: str, lab: str, labels: dict[str, str], say: Callable[[str], None], *, wait: bool
    ) -> None:
        told = False
        while (refusal := self._attempt(token, lab, labels, say)) is not None:
            if not wait:
                raise refusal
            if not told:
                say(waiting(refusal))
                told = True
            self._sleep(AGAIN)

    def _attempt(
        self, token: str, lab: str, labels: dict[str, str], say: Callable[[str], None]
    ) -> LabError | None:
        """Makes a ticket, and keeps it if there is no other; else returns the refusal."""
        if not self._make(token, labels):
            others, now = self._others(token, lab)
            if not others:
                say(UNLOCKED.format(lab))
            return self._refusal(lab, others[0], now) if others else None
        try:
            until = monotonic() + YIELDS
            while True:
                others, now = self._others(token, lab)
                if not others:
                    return None
                if others[0].name < token or monotonic() > until:
                    break
                self._sleep(GLANCE)
        except BaseException:
            self._remove(token)
            raise
        self._remove(token)
        return self._refusal(lab, others[0], now)

    def _refusal(self, lab: str, other: _Ticket, now: float) -> LabError:
        unseen = other.holder is None or self._see(other.holder) is Life.UNSEEN
        more = HEARTBEAT.format(VOID, now - other.made) if unseen else ""
        return refused(lab, other.holder, self._clock(), more)

    def _others(self, token: str, lab: str) -> tuple[Sequence[_Ticket], float]:
        """The valid tickets of others for this lab, oldest first, and the engine's time.

        Removes what killed commands left, whichever lab they had locked.
        """
        with translate_errors("listing the locks of labs"):
            listed = self._engine().volumes(filters={"label": [LOCKED]})["Volumes"] or ()
        tickets = sorted((_ticket(entry) for entry in listed), key=lambda ticket: ticket.name)
        now = max((ticket.made for ticket in tickets), default=0.0)  # ours is the newest
        others = []
        for ticket in tickets:
            if ticket.name.startswith(token):
                continue
            if self._is_void(ticket, now):
                self._remove(ticket.name)
            elif ticket.lab == lab:
                others.append(ticket)
        return others, now

    def _is_void(self, ticket: _Ticket, now: float) -> bool:
        seen = Life.UNSEEN if ticket.holder is None else self._see(ticket.holder)
        return seen is Life.ENDED or (seen is Life.UNSEEN and now - ticket.made > VOID)

    def _renew(self, token: str, labels: dict[str, str], stop: threading.Event) -> None:
        """Makes the ticket anew until the lock is released; then removes it."""
        name, number = token, 0
        while not stop.wait(RENEWED):
            number += 1
            with suppress(LabError):
                fresh = f"{token}.{number}"
                if self._make(fresh, labels):
                    self._remove(name)
                    name = fresh
        self._remove(name)

    def _make(self, name: str, labels: dict[str, str]) -> bool:
        """Makes a ticket; False if the engine's disk is full."""
        try:
            with translate_errors("locking the lab"):
                self._engine().create_volume(name, labels=labels)
        except LabError as problem:
            if FULL in problem.evidence.lower():
                return False
            raise
        return True

    def _remove(self, name: str) -> None:
        """Removes a ticket; one that stays is void when its process has ended."""
        with suppress(LabError), translate_errors("unlocking the lab"):
            self._engine().remove_volume(name, force=True)


def _ticket(entry: dict[str, Any]) -> _Ticket:
    labels = entry["Labels"]
    try:
        made = datetime.fromisoformat(entry["CreatedAt"]).timestamp()
    except (KeyError, ValueError):
        made = 0.0
    return _Ticket(entry["Name"], labels[LOCKED], holder_from_json(labels.get(HOLDER, "")), made)
