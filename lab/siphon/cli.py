"""The command `siphon`: environment, output and exit status. Only this module prints."""

from __future__ import annotations

import os
import sys
import time

from lab.siphon import errors, options, report
from lab.siphon.auth import credentials
from lab.siphon.errors import Kind, SiphonError
from lab.siphon.fetch import client, servers, version_cache
from lab.siphon.fetch.completeness import missing_parts
from lab.siphon.protocol import messages
from lab.siphon.protocol.versions import VERSIONS
from lab.siphon.publish import writer
from lab.siphon.publish.names import unsafe_missing, wanted_files
from lab.siphon.publish.settings import PRIVATE, PUBLIC, PublishOptions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lab.siphon.auth.credentials import Credentials
    from lab.siphon.fetch.client import Fetched
    from lab.siphon.fetch.servers import Server
    from lab.siphon.options import Arguments
    from lab.siphon.publish.names import Wanted
    from lab.siphon.publish.target import Plan

VERSION = "0.1.0"


def main(words: list[str] | None = None) -> int:
    """Runs the command and returns its exit status. Never shows a traceback, which could contain a secret."""
    words = sys.argv[1:] if words is None else words
    try:
        status = _main(words).status
        _print("")
    except OutputError as error:
        return _no_output(str(error))
    except BrokenPipeError:
        # The reader has ended, as with `| head`. All files are written.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return errors.OK.status
    except KeyboardInterrupt:
        _complain("interrupted; the directory contains its old files or the new ones")
        return errors.INTERRUPTED.status
    except Exception as error:
        _complain(f"error: siphon itself failed: {type(error).__name__} at {_where(error)}")
        return errors.BUG.status
    return status


class OutputError(Exception):
    """Standard output takes nothing: it leads to a full disk, or is closed."""


def _print(text: str) -> None:
    """Writes to standard output at once. Raises `OutputError`."""
    if sys.stdout is None:  # closed by the caller
        if text:
            raise OutputError("it is closed")
        return
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(error.strerror or str(error)) from None


def _no_output(why: str) -> int:
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # leaving must not fail once more
    _complain(
        report.error_text(
            SiphonError(
                errors.WRITE,
                "cannot write to standard output",
                evidence=f"{why}; the directory is as it was or has the new files: siphon --check tells",
                hint="send the output elsewhere: >FILE, or print nothing: --quiet",
            )
        )
    )
    return errors.WRITE.status


def _complain(text: str) -> None:
    """Writes a line to standard error; if nobody can read it, the exit status must do."""
    try:
        if sys.stderr is not None:
            sys.stderr.write(f"{text}\n")
    except OSError:
        return


def _where(error: BaseException) -> str:
    """File and line of a bug, without the values in its message and traceback."""
    step = error.__traceback__
    while step is not None and step.tb_next is not None:
        step = step.tb_next
    return "an unknown place" if step is None else f"{step.tb_frame.f_code.co_filename}:{step.tb_lineno}"


def _main(words: list[str]) -> Kind:
    # Errors in the command line are reported in JSON, too.
    output = Output(json="--json" in words)
    try:
        arguments = options.parse(words)
        if arguments.help:
            _print(options.make_parser().format_help())
            return errors.OK
        if arguments.version:
            _print(f"siphon {VERSION}\n")
            return errors.OK
        if arguments.list:
            _print("".join(f"{v.release}\n" for v in reversed(VERSIONS)))
            return errors.OK
        output = Output(json=arguments.json, quiet=arguments.quiet, verbose=arguments.verbose)
        return _run(arguments, output)
    except SiphonError as error:
        output.error(error)
        return error.kind


class Output:
    """Prints results on standard output, and errors, warnings and the log on standard error."""

    __slots__ = ("json", "quiet", "verbose")

    def __init__(self, *, json: bool = False, quiet: bool = False, verbose: bool = False) -> None:
        self.json = json
        self.quiet = quiet
        self.verbose = verbose

    def error(self, error: SiphonError) -> None:
        """A failure, with `--json` on standard output, too."""
        _complain(report.error_text(error))
        if self.json:
            self.line(report.error_json(error))

    def warning(self, text: str) -> None:
        """A warning, unless `--quiet`."""
        if not self.quiet:
            _complain(f"warning: {text}")

    def log(self, text: str) -> None:
        """A line of the log, with `--verbose`."""
        if self.verbose:
            _complain(text)

    def result(self, text: str) -> None:
        """A result as text, unless `--quiet` or `--json`."""
        if not (self.quiet or self.json):
            self.line(text)

    def line(self, text: str) -> None:
        """A line on standard output."""
        _print(f"{text}\n")


def _run(arguments: Arguments, output: Output) -> Kind:
    if arguments.watch is not None:
        from lab.siphon import watch

        def once() -> bool:
            return fetch_once(arguments, output).differs()

        watch.run(once, output.error, arguments.watch, arguments.on_change, output.warning)
        return errors.OK
    plan = fetch_once(arguments, output)
    return errors.DIFFERS if arguments.check and plan.differs() else errors.OK


def fetch_once(arguments: Arguments, output: Output) -> Plan:
    """Fetches the files once and writes or compares them. Raises `SiphonError`."""
    start = time.monotonic()
    found = _credentials(arguments)
    output.log(f"authentication: {found.describe()}")
    environment = client.Environment(log=output.log)
    fetched = client.fetch(_servers(arguments), found, _fetch_options(arguments), environment)
    wanted = wanted_files(fetched.reply.files)
    warnings = _warnings(arguments, output, fetched, wanted)
    writes = not (arguments.check or arguments.dry_run)
    act = writer.write if writes else writer.examine
    plan = act(arguments.output_dir, wanted, _publish_options(arguments))
    # With --watch only changes are results.
    if plan.differs() or arguments.watch is None:
        if output.json:
            line = report.as_json(
                fetched,
                plan,
                target=os.path.realpath(arguments.output_dir),
                auth=found.name,
                file_set=arguments.file_set,
                seconds=time.monotonic() - start,
                written=writes,
                warnings=warnings,
            )
            output.line(line)
        output.result(report.summary(fetched, plan, arguments.output_dir, written=writes))
    if arguments.dry_run or arguments.verbose:
        for line in report.changes(plan):
            output.result(line)
    return plan


def _fetch_options(arguments: Arguments) -> client.FetchOptions:
    slurmd_set = arguments.file_set == "slurmd"
    return client.FetchOptions(
        flags=messages.SLURMD_SET if slurmd_set else messages.CLIENT_SET,
        timeout=arguments.timeout,
        protocol=arguments.protocol,
        cache=version_cache.directory(os.environ),
        wait=arguments.wait,
    )


def _publish_options(arguments: Arguments) -> PublishOptions:
    modes = PRIVATE if arguments.private else PUBLIC
    return PublishOptions(modes=modes, sync=arguments.sync, patience=arguments.timeout)


def _warnings(
    arguments: Arguments, output: Output, fetched: Fetched, wanted: tuple[Wanted, ...]
) -> tuple[str, ...]:
    """What is missing from the set: warnings, or an error with `--strict`."""
    if not any(file.path == "slurm.conf" for file in wanted):
        raise SiphonError(
            errors.MALFORMED,
            f"{fetched.server} sent no slurm.conf; nothing was written",
            evidence=f"it sent {len(wanted)} other files",
            hint="scontrol reconfigure on the controller makes slurmctld read its files again",
        )

    def elsewhere(path: str) -> bool:
        return os.path.exists(os.path.join(arguments.output_dir, path))

    files = fetched.reply.files
    missing = missing_parts(files, elsewhere, scripts=arguments.file_set == "slurmd")
    if missing and arguments.strict:
        raise SiphonError(
            errors.INCOMPLETE,
            "the set of files is incomplete; nothing was written",
            evidence="\n".join(missing),
            hint="omit --strict to write the files that were sent",
        )
    ignored = tuple(
        f"the controller lists a file {name}, which it does not have: ignored"
        for name in unsafe_missing(files)
    )
    for text in (*missing, *ignored):
        output.warning(text)
    return (*missing, *ignored)


def _servers(arguments: Arguments) -> tuple[Server, ...]:
    if arguments.servers:
        return servers.parse_servers(arguments.servers)
    from_environment = os.environ.get("SLURM_CONF_SERVER")
    return (
        servers.parse_servers([from_environment]) if from_environment else servers.look_up(arguments.timeout)
    )


def _credentials(arguments: Arguments) -> Credentials:
    """The credentials that were requested, or the first ones that are available."""
    how = arguments.auth or _available_auth(arguments)
    if how == "slurm":
        return credentials.slurm_key(arguments.slurm_key or credentials.SLURM_KEY)
    if how == "munge":
        if arguments.munge_key is not None:
            return credentials.munge_key(arguments.munge_key)
        return credentials.MungeSocket(arguments.munge_socket or credentials.MUNGE_SOCKET)
    token = credentials.Jwt(credentials.token(os.environ.get("SLURM_JWT"), arguments.token_file))
    token.check(time.time())
    return token


def _available_auth(arguments: Arguments) -> str:
    if arguments.munge_key is not None or arguments.munge_socket is not None:
        return "munge"
    if arguments.slurm_key is not None:
        return "slurm"
    if arguments.token_file is not None or os.environ.get("SLURM_JWT"):
        return "jwt"
    if os.path.exists(credentials.MUNGE_SOCKET):
        return "munge"
    return "slurm" if os.access(credentials.SLURM_KEY, os.R_OK) else "jwt"
