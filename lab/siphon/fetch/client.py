"""Fetches the configuration: asks each controller, finds its version, repeats where that can help."""

from __future__ import annotations

import time

from lab.siphon import errors
from lab.siphon.auth.credentials import MungeSocket
from lab.siphon.errors import SiphonError
from lab.siphon.fetch import diagnosis, transport, version_cache
from lab.siphon.fetch.negotiation import ACCEPTED, HTTP, REPORTED, SILENT, Attempt, next_version
from lab.siphon.fetch.transport import Answer, Deadline
from lab.siphon.protocol import messages, versions
from lab.siphon.protocol.messages import ConfigReply, ErrorReply, Request
from lab.siphon.protocol.wire import WireError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.siphon.auth.credentials import Credentials
    from lab.siphon.fetch.servers import Server
    from lab.siphon.protocol.versions import Version

BACKOFF = 1.1
"""Seconds to wait after error 1804: the controller's rate limit counts in whole seconds."""

PAUSE = 0.5
"""Seconds between rounds over the controllers with `--wait`."""

MOST_CUTS = 2
"""How often a reply may break off before siphon gives up on the controller."""

PASSING = (errors.CONNECT, errors.TIMEOUT, errors.STANDBY, errors.MALFORMED, errors.REFUSED)
"""Failures that may end by themselves."""

ELSEWHERE = (*PASSING, errors.NOT_SLURM, errors.VERSION)
"""Failures after which the next controller is asked. A refused token is refused by all of them."""


class FetchOptions:
    """What to fetch, and how long to try."""

    __slots__ = ("cache", "flags", "protocol", "timeout", "wait")

    def __init__(
        self,
        *,
        flags: int = messages.CLIENT_SET,
        timeout: float = 10.0,
        protocol: Version | None = None,
        cache: str | None = None,
        wait: bool = False,
    ) -> None:
        self.flags = flags
        # Seconds for everything together.
        self.timeout = timeout
        # The only version to use, or None to find it.
        self.protocol = protocol
        # The directory of remembered versions.
        self.cache = cache
        # Whether to repeat until the timeout while controllers are unreachable, starting or in standby.
        self.wait = wait


class Fetched:
    """A set of files and how it was fetched."""

    __slots__ = ("release", "reply", "search_seconds", "seconds", "server", "tries", "version", "vouched_by")

    def __init__(
        self,
        session: ControllerSession,
        version: Version,
        release: str | None,
        reply: ConfigReply,
        search_seconds: float,
    ) -> None:
        self.server = session.server
        self.version = version
        # The controller's release, as far as the search for its version showed it.
        self.release = release
        self.reply = reply
        self.tries = session.tries
        # Duration of the whole fetch, and its part that was spent on this controller.
        self.seconds = self.search_seconds = search_seconds
        # The uid that made the munge credential of the reply, in protocols up to 22.05.
        self.vouched_by = session.vouched_by


class Environment:
    """Clock, sleep and log. Tests replace them."""

    __slots__ = ("log", "now", "sleep")

    def __init__(
        self,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        log: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self.now = now
        self.sleep = sleep
        self.log = log


def fetch(
    servers: tuple[Server, ...],
    credentials: Credentials,
    options: FetchOptions,
    environment: Environment | None = None,
) -> Fetched:
    """The configuration from the first controller that sends it. Raises `SiphonError` if none does."""
    environment = environment or Environment()
    start = environment.now()
    deadline = Deadline(start + options.timeout, environment.now)
    while True:
        failures: list[SiphonError] = []
        for position, server in enumerate(servers):
            share = deadline.share(len(servers) - position)
            try:
                found = ControllerSession(server, credentials, options, share, environment).fetch()
            except SiphonError as error:
                if error.kind not in ELSEWHERE:
                    raise
                environment.log(f"{server}: {error.message}")
                failures.append(error)
            else:
                found.seconds = environment.now() - start
                return found
        failure = diagnosis.summarize(failures)
        if not options.wait or failure.kind not in PASSING or deadline.left() <= PAUSE:
            raise failure
        environment.sleep(PAUSE)


class ControllerSession:
    """All requests to one controller in one round."""

    def __init__(
        self,
        server: Server,
        credentials: Credentials,
        options: FetchOptions,
        deadline: Deadline,
        environment: Environment,
    ) -> None:
        self.server = server
        self.credentials = credentials
        self.options = options
        self.deadline = deadline
        self.environment = environment
        self.history: tuple[Attempt, ...] = ()
        self.tries = 0
        self.vouched_by: int | None = None

    def fetch(self) -> Fetched:
        """The files in the best version that the controller accepts. Raises `SiphonError`."""
        start = self.environment.now()
        fixed, cache = self.options.protocol, self.options.cache
        remembered = None if fixed else version_cache.recall(cache, self.server)
        first = fixed or remembered
        best: tuple[Version, ConfigReply] | None = None
        while (version := self._next(first)) is not None:
            reply = self._try(version)
            if reply is not None:
                best = (version, reply)
        if best is None:
            version_cache.forget(cache, self.server)
            raise diagnosis.no_version(self.server, self.history, self.credentials, fixed)
        version, reply = best
        if fixed is None and version is not remembered:
            version_cache.remember(cache, self.server, version)
        searched = self.environment.now() - start
        release = None if first is version else _release(version)
        return Fetched(self, version, release, reply, searched)

    def _next(self, first: Version | None) -> Version | None:
        if self.options.protocol is not None and self.history:
            return None
        return next_version(self.history, first)

    def _try(self, version: Version) -> ConfigReply | None:
        """Sends the request in one version and records the outcome. None if the version is refused."""
        try:
            answer = self._answer(version)
        except SiphonError:
            # A failed attempt at a better version must not lose the reply that is already here.
            if any(attempt.outcome == ACCEPTED for attempt in self.history):
                self._record(Attempt(version, SILENT))
                return None
            raise
        if answer.payload is None:
            self._record(Attempt(version, HTTP if answer.http else SILENT))
            return None
        reply = self._decode(answer.payload)
        number = reply.header.version
        if isinstance(reply, ConfigReply):
            if number != version.number:
                answered = versions.release_name(number)
                evidence = f"the request was in version {version.release}, the reply in {answered}"
                raise diagnosis.malformed(self.server, evidence)
            self._verify(reply, version)
            self._record(Attempt(version, ACCEPTED))
            return reply
        if number != version.number and reply.code == diagnosis.AUTHENTICATION:
            self._record(Attempt(version, REPORTED, number))
            return None
        raise diagnosis.refused(self.server, reply, self.credentials)

    def _verify(self, reply: ConfigReply, version: Version) -> None:
        """Has munged verify the credential of the reply, if it has one."""
        if reply.auth is not None and isinstance(self.credentials, MungeSocket):
            from lab.siphon.auth import verify_reply

            path, left = self.credentials.path, self.deadline.left()
            self.vouched_by = verify_reply.check(str(self.server), reply, version, path, left)

    def _record(self, attempt: Attempt) -> None:
        number = attempt.reported_version
        reported = f" by version {versions.release_name(number)}" if number else ""
        self.environment.log(f"{self.server}: version {attempt.version.release}: {attempt.outcome}{reported}")
        self.history = (*self.history, attempt)

    def _answer(self, version: Version) -> Answer:
        """One exchange, repeated after a rate limit or a reply that broke off."""
        cuts = 0
        while True:
            self.tries += 1
            section = self.credentials.section(version, self.options.flags, self.deadline.left())
            request = messages.encode_request(Request(version, section, self.options.flags))
            try:
                answer = transport.exchange(self.server, request, self.deadline)
            except SiphonError as error:
                cuts += error.kind is errors.MALFORMED
                if error.kind is not errors.MALFORMED or cuts > MOST_CUTS:
                    raise
                pause, kind, why = 0.1, errors.MALFORMED, "the reply broke off"
            else:
                if not self._limited(answer):
                    return answer
                pause, kind, why = BACKOFF, errors.REFUSED, "the controller's rate limit was exceeded"
            if self.deadline.left() <= pause:
                raise diagnosis.no_time_left(self.server, kind, why)
            self.environment.log(f"{self.server}: {why}; next request in {pause} s")
            self.environment.sleep(pause)

    def _limited(self, answer: Answer) -> bool:
        if answer.payload is None or len(answer.payload) > 200:
            return False
        reply = self._decode(answer.payload)
        return isinstance(reply, ErrorReply) and reply.code == diagnosis.RATE_LIMIT

    def _decode(self, payload: bytes) -> ConfigReply | ErrorReply:
        try:
            return messages.decode_reply(payload)
        except WireError as error:
            raise diagnosis.malformed(self.server, str(error)) from None


def _release(version: Version) -> str:
    return f"{version.release} or newer" if version is versions.NEWEST else version.release
