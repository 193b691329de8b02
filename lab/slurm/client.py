"""Fetches the configuration: whom to ask, in which version, how often, and what the answer means."""

from __future__ import annotations

import time

from lab.slurm import cache, channel, failure, messages, refusal, versions, vouch
from lab.slurm.auth import MungeSocket
from lab.slurm.channel import Answer, Deadline
from lab.slurm.failure import SiphonError
from lab.slurm.messages import ConfigReply, ErrorReply, Request
from lab.slurm.record import dataclass
from lab.slurm.search import ACCEPTED, HTTP, SILENT, TOLD, Try, next_try
from lab.slurm.wire import WireError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.slurm.auth import Credentials
    from lab.slurm.servers import Server
    from lab.slurm.versions import Version

BACKOFF = 1.1
"""Seconds to wait when a controller says 1804: its rate limit counts in whole ones."""

PAUSE = 0.5
"""Seconds between rounds over controllers that are not there yet."""

MOST_CUTS = 2
"""How often a reply may break off before we stop asking this controller."""

PASSING = (failure.CONNECT, failure.TIMEOUT, failure.STANDBY, failure.MALFORMED, failure.REFUSED)
"""What another controller, or the same one later, may do better."""

ELSEWHERE = (*PASSING, failure.NOT_SLURM, failure.VERSION)
"""What is worth asking the next controller for; a refused token is refused everywhere."""


@dataclass(frozen=True)
class Wish:
    """What to fetch and how hard to try."""

    flags: int = messages.CLIENT_SET
    timeout: float = 10.0
    protocol: Version | None = None
    """Ask in this version only."""
    cache: str | None = None
    """Folder of remembered versions."""
    wait: bool = False
    """Go on until the deadline while controllers are away, starting or in standby."""


@dataclass(frozen=True)
class Fetched:
    """A set of files and how it was got."""

    server: Server
    version: Version
    release: str | None
    """The controller's release where the search showed it: its own, or newer than any we know."""
    reply: ConfigReply
    tries: int
    seconds: float
    search_seconds: float
    """Of these, how long the one controller took that gave the files, its search included."""
    vouched_by: int | None = None
    """The uid whose munge credential covers the reply; only protocols up to 22.05 have one."""


@dataclass(frozen=True)
class Tools:
    """The outside world, so that tests can bring their own."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    log: Callable[[str], None] = lambda _line: None


def fetch(
    servers: tuple[Server, ...], credentials: Credentials, wish: Wish, tools: Tools | None = None
) -> Fetched:
    """The configuration from the first controller that gives it."""
    tools = tools or Tools()
    start = tools.now()
    deadline = Deadline(start + wish.timeout, tools.now)
    while True:
        failures: list[SiphonError] = []
        for position, server in enumerate(servers):
            share = deadline.share(len(servers) - position)
            try:
                found = _Conversation(server, credentials, wish, share, tools).fetch()
            except SiphonError as error:
                if error.kind not in ELSEWHERE:
                    raise
                tools.log(f"{server}: {error.message}")
                failures.append(error)
            else:
                return _timed(found, start, tools)
        verdict = refusal.verdict(failures)
        if not wish.wait or verdict.kind not in PASSING or deadline.left() <= PAUSE:
            raise verdict
        tools.sleep(PAUSE)


def _timed(found: Fetched, start: float, tools: Tools) -> Fetched:
    seconds = tools.now() - start
    return Fetched(
        found.server,
        found.version,
        found.release,
        found.reply,
        found.tries,
        seconds,
        found.search_seconds,
        found.vouched_by,
    )


class _Conversation:
    """All that is asked of one controller."""

    def __init__(
        self, server: Server, credentials: Credentials, wish: Wish, deadline: Deadline, tools: Tools
    ) -> None:
        self.server = server
        self.credentials = credentials
        self.wish = wish
        self.deadline = deadline
        self.tools = tools
        self.history: tuple[Try, ...] = ()
        self.tries = 0
        self.vouched_by: int | None = None

    def fetch(self) -> Fetched:
        start = self.tools.now()
        remembered = None if self.wish.protocol else cache.recall(self.wish.cache, self.server)
        first = self.wish.protocol or remembered
        best: tuple[Version, ConfigReply] | None = None
        while (version := self._next(first)) is not None:
            reply = self._try(version)
            if reply is not None:
                best = (version, reply)
        if best is None:
            cache.forget(self.wish.cache, self.server)
            raise refusal.no_version(self.server, self.history, self.credentials, self.wish.protocol)
        version, reply = best
        if self.wish.protocol is None and version is not remembered:
            cache.remember(self.wish.cache, self.server, version)
        searched = self.tools.now() - start
        release = None if first is version else self._release(version)
        return Fetched(self.server, version, release, reply, self.tries, 0.0, searched, self.vouched_by)

    def _next(self, first: Version | None) -> Version | None:
        if self.wish.protocol is not None and self.history:
            return None
        return next_try(self.history, first)

    def _release(self, version: Version) -> str:
        newest = version is versions.NEWEST
        return f"{version.release} or newer" if newest else version.release

    def _try(self, version: Version) -> ConfigReply | None:
        """Asks in one version and notes in the history what that shows of the controller."""
        try:
            answer = self._answer(version)
        except SiphonError:
            # Climbing for a better version must not lose the answer in hand.
            if any(entry.outcome == ACCEPTED for entry in self.history):
                self._note(Try(version, SILENT))
                return None
            raise
        if answer.payload is None:
            self._note(Try(version, HTTP if answer.http else SILENT))
            return None
        reply = self._decode(answer.payload)
        number = reply.header.version
        if isinstance(reply, ConfigReply):
            if number != version.number:
                raise refusal.malformed(
                    self.server, f"asked in {version.release}, answered in {versions.release_name(number)}"
                )
            self._check(reply, version)
            self._note(Try(version, ACCEPTED))
            return reply
        if number != version.number and reply.code == refusal.AUTHENTICATION:
            self._note(Try(version, TOLD, number))
            return None
        raise refusal.of_code(self.server, reply, self.credentials)

    def _check(self, reply: ConfigReply, version: Version) -> None:
        """Has munged check the controller's own credential, where the protocol still has one."""
        if reply.auth is not None and isinstance(self.credentials, MungeSocket):
            path = self.credentials.path
            self.vouched_by = vouch.check(self.server, reply, version, path, self.deadline.left())

    def _note(self, entry: Try) -> None:
        told = f", it is {versions.release_name(entry.told)}" if entry.told else ""
        self.tools.log(f"{self.server}: asked in {entry.version.release}: {entry.outcome}{told}")
        self.history = (*self.history, entry)

    def _answer(self, version: Version) -> Answer:
        """One exchange, again after a rate limit or a reply that broke off."""
        cuts = 0
        while True:
            self.tries += 1
            section = self.credentials.section(version, self.wish.flags, self.deadline.left())
            request = messages.encode_request(Request(version, section, self.wish.flags))
            try:
                answer = channel.ask(self.server, request, self.deadline)
            except SiphonError as error:
                cuts += error.kind is failure.MALFORMED
                if error.kind is not failure.MALFORMED or cuts > MOST_CUTS:
                    raise
                pause, why = 0.1, "the reply broke off"
            else:
                if not self._limited(answer):
                    return answer
                pause, why = BACKOFF, "over the controller's rate limit"
            if self.deadline.left() <= pause:
                raise refusal.busy(self.server, why)
            self.tools.log(f"{self.server}: {why}; again in {pause} s")
            self.tools.sleep(pause)

    def _limited(self, answer: Answer) -> bool:
        if answer.payload is None or len(answer.payload) > 200:
            return False
        reply = self._decode(answer.payload)
        return isinstance(reply, ErrorReply) and reply.code == refusal.RATE_LIMIT

    def _decode(self, payload: bytes) -> ConfigReply | ErrorReply:
        try:
            return messages.decode_reply(payload)
        except WireError as error:
            raise refusal.malformed(self.server, str(error)) from None
