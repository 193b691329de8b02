"""The command `siphon`: arguments, environment, exit status; the only module here that prints."""

from __future__ import annotations

import os
import sys
import time

from lab.slurm import auth, cache, client, failure, messages, options, report, servers, writer
from lab.slurm.complete import lacks
from lab.slurm.failure import Kind, SiphonError
from lab.slurm.names import unsafe_missing, wanted_files
from lab.slurm.record import dataclass
from lab.slurm.target import PRIVATE, Modes
from lab.slurm.versions import VERSIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lab.slurm.client import Fetched
    from lab.slurm.names import Wanted
    from lab.slurm.options import Arguments
    from lab.slurm.servers import Server
    from lab.slurm.target import Plan
    from lab.slurm.versions import Version

VERSION = "0.1.0"


def main(words: list[str] | None = None) -> int:
    """Runs the command; returns its exit status and never shows a traceback, which could hold a secret."""
    words = sys.argv[1:] if words is None else words
    try:
        status = _main(words).status
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has gone, as with `| head`; what was to be written on disk is there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return failure.OK.status
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; the directory holds its old files or the new ones\n")
        return failure.INTERRUPTED.status
    except Exception as error:
        sys.stderr.write(f"error: siphon itself broke: {type(error).__name__} at {_where(error)}\n")
        return failure.BUG.status
    return status


def _where(error: BaseException) -> str:
    """The place of a bug, without the values that a message or a traceback would show."""
    step = error.__traceback__
    while step is not None and step.tb_next is not None:
        step = step.tb_next
    return "an unknown place" if step is None else f"{step.tb_frame.f_code.co_filename}:{step.tb_lineno}"


def _main(words: list[str]) -> Kind:
    wants_json = "--json" in words
    try:
        arguments = options.parse(words)
        if arguments.has("help"):
            sys.stdout.write(options.help_text())
            return failure.OK
        if arguments.has("version"):
            sys.stdout.write(f"siphon {VERSION}\n")
            return failure.OK
        if arguments.has("list"):
            sys.stdout.write("".join(f"{v.release}\n" for v in reversed(VERSIONS)))
            return failure.OK
        return _run(Job.of(arguments))
    except SiphonError as error:
        tell(error, wants_json=wants_json)
        return error.kind


def tell(error: SiphonError, *, wants_json: bool) -> None:
    """Says what failed: on stderr for people, and on stdout where JSON was asked for."""
    sys.stderr.write(f"{report.error_text(error)}\n")
    if wants_json:
        sys.stdout.write(f"{report.error_json(error)}\n")
        sys.stdout.flush()


@dataclass(frozen=True)
class Job:
    """Everything a run needs to know, judged."""

    arguments: Arguments
    place: str
    flags: int
    timeout: float
    protocol: Version | None
    watch: float | None
    writing: writer.Options

    @classmethod
    def of(cls, arguments: Arguments) -> Job:
        """The job that a command line asks for."""
        watch = arguments.number("watch")
        if arguments.has("on-change") and watch is None:
            raise options.usage("--on-change goes with --watch")
        if watch is not None and (arguments.has("check") or arguments.has("dry-run")):
            raise options.usage("--watch writes; --check and --dry-run do not")
        timeout = arguments.number("timeout", options.DEFAULT_TIMEOUT) or options.DEFAULT_TIMEOUT
        return cls(
            arguments=arguments,
            place=arguments.values.get("output-dir", "."),
            flags=messages.SLURMD_SET if arguments.values.get("set") == "slurmd" else messages.CLIENT_SET,
            timeout=timeout,
            protocol=options.release(arguments),
            watch=watch,
            writing=writer.Options(
                modes=PRIVATE if arguments.has("private") else Modes(),
                sync=arguments.has("sync"),
                patience=timeout,
            ),
        )

    def log(self, line: str) -> None:
        """Tells it with -v."""
        if self.arguments.has("verbose"):
            sys.stderr.write(f"{line}\n")

    def say(self, line: str) -> None:
        """A result, unless people asked for silence or programs for JSON."""
        if not (self.arguments.has("quiet") or self.arguments.has("json")):
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()

    def warn(self, line: str) -> None:
        """Something that people should know."""
        if not self.arguments.has("quiet"):
            sys.stderr.write(f"warning: {line}\n")


def _run(job: Job) -> Kind:
    if job.watch is not None:
        from lab.slurm import watch

        def once() -> bool:
            return fetch_once(job)[1].differs()

        def failed(error: SiphonError) -> None:
            tell(error, wants_json=job.arguments.has("json"))

        watch.run(once, failed, job.watch, job.arguments.values.get("on-change"), job.warn)
        return failure.OK
    _, plan = fetch_once(job)
    return failure.DIFFERS if job.arguments.has("check") and plan.differs() else failure.OK


def fetch_once(job: Job) -> tuple[Fetched, Plan]:
    """One fetch and what it did to the directory."""
    start = time.monotonic()
    credentials = _credentials(job)
    job.log(f"authentication: {credentials.describe()}")
    wish = client.Wish(
        flags=job.flags,
        timeout=job.timeout,
        protocol=job.protocol,
        cache=cache.folder(os.environ),
        wait=job.arguments.has("wait"),
    )
    fetched = client.fetch(_servers(job), credentials, wish, client.Tools(log=job.log))
    wanted = wanted_files(fetched.reply.files)
    warnings = _warnings(job, fetched, wanted)
    writes = not (job.arguments.has("check") or job.arguments.has("dry-run"))
    act = writer.write if writes else writer.examine
    plan = act(job.place, wanted, job.writing)
    shows = plan.differs() or job.watch is None
    if job.arguments.has("json") and shows:
        place = os.path.realpath(job.place)
        seconds = time.monotonic() - start
        how = report.How(credentials.name, job.arguments.values.get("set", "client"), seconds, writes)
        line = report.as_json(fetched, plan, place, warnings, how)
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    if shows:
        job.say(report.summary(fetched, plan, job.place, written=writes))
    if job.arguments.has("dry-run") or job.arguments.has("verbose"):
        for line in report.changes(plan):
            job.say(line)
    return fetched, plan


def _warnings(job: Job, fetched: Fetched, wanted: tuple[Wanted, ...]) -> tuple[str, ...]:
    """What is amiss with the set; an error where that was asked for."""
    if not any(file.path == "slurm.conf" for file in wanted):
        raise SiphonError(
            failure.MALFORMED,
            f"{fetched.server} sent no slurm.conf; nothing was written",
            evidence=f"{len(wanted)} other files came",
            hint="scontrol reconfigure on the controller makes it read its files again",
        )

    def elsewhere(path: str) -> bool:
        return os.path.exists(os.path.join(job.place, path))

    files = fetched.reply.files
    missing = lacks(files, elsewhere, scripts=job.flags == messages.SLURMD_SET)
    if missing and job.arguments.has("strict"):
        raise SiphonError(
            failure.INCOMPLETE,
            "the set of files is incomplete; nothing was written",
            evidence="\n".join(missing),
            hint="leave out --strict to write what came",
        )
    ignored = tuple(
        f"the controller names a file {name}, which it does not have: ignored"
        for name in unsafe_missing(files)
    )
    for line in (*missing, *ignored):
        job.warn(line)
    return (*missing, *ignored)


def _servers(job: Job) -> tuple[Server, ...]:
    given = job.arguments.servers
    if not given:
        named = os.environ.get("SLURM_CONF_SERVER", "")
        given = (named,) if named else ()
    return servers.parse_servers(given) if given else servers.look_up(job.timeout)


def _credentials(job: Job) -> auth.Credentials:
    """The way to authenticate that was asked for, or the first that is there."""
    values = job.arguments.values
    how = values.get("auth") or _found_auth(values)
    if how == "slurm":
        return auth.slurm_key(values.get("slurm-key", auth.SLURM_KEY))
    if how == "munge":
        if "munge-key" in values:
            return auth.munge_key(values["munge-key"])
        return auth.MungeSocket(values.get("munge-socket", auth.MUNGE_SOCKET))
    token = auth.Jwt(auth.token(os.environ.get("SLURM_JWT"), values.get("token-file")))
    token.check(time.time())
    return token


def _found_auth(values: dict[str, str]) -> str:
    if "munge-key" in values or "munge-socket" in values:
        return "munge"
    if "slurm-key" in values:
        return "slurm"
    if "token-file" in values or os.environ.get("SLURM_JWT"):
        return "jwt"
    if os.path.exists(auth.MUNGE_SOCKET):
        return "munge"
    return "slurm" if os.access(auth.SLURM_KEY, os.R_OK) else "jwt"
