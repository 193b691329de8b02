"""The command line: an argparse parser. Options that straw has, too, have the same meaning."""

from __future__ import annotations

import argparse

from lab.siphon import errors
from lab.siphon.errors import KINDS, SiphonError, printable
from lab.siphon.protocol import versions
from lab.siphon.protocol.versions import Version

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

DEFAULT_TIMEOUT = 10.0
USAGE = "siphon [options] [server ...] [release]"
DESCRIPTION = """\
Fetches Slurm's configuration from slurmctld into a directory, all or nothing.

A server is host[:port], [IPv6]:port, host:6817-6820 or ctl[1-2]. Several servers are asked in turn.
Without a server, SLURM_CONF_SERVER is used, then DNS (_slurmctld._tcp, requires dnspython).
SLURM_JWT contains the token. Without a release (such as 24.11), siphon finds it by asking."""


class Arguments(argparse.Namespace):
    """A parsed command line."""

    servers: list[str]
    output_dir: str
    file_set: str
    auth: str | None
    token_file: str | None
    munge_socket: str | None
    munge_key: str | None
    slurm_key: str | None
    protocol: Version | None
    timeout: float
    wait: bool
    dry_run: bool
    check: bool
    strict: bool
    private: bool
    sync: bool
    watch: float | None
    on_change: str | None
    json: bool
    quiet: bool
    verbose: bool
    list: bool
    version: bool
    help: bool


class Parser(argparse.ArgumentParser):
    """A parser that raises `SiphonError` for wrong usage, where argparse would print and exit."""

    def error(self, message: str) -> NoReturn:
        """Raises the error for wrong usage."""
        raise usage_error(printable(message, 400))


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Help in a fixed width: argparse would import shutil in every run to find the terminal's."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28, width=100)


def usage_error(message: str) -> SiphonError:
    """The error for wrong usage."""
    return SiphonError(errors.USAGE, message, hint="siphon --help")


def parse(words: list[str]) -> Arguments:
    """Parses the arguments after the program's name. Raises `SiphonError` for wrong usage."""
    parser = make_parser()
    # Intermixed, because options may stand between the servers and the release.
    arguments = parser.parse_intermixed_args(words, Arguments())
    if arguments.servers and _is_release(arguments.servers[-1]):
        if arguments.protocol is not None:
            raise usage_error("the release is given twice: as --protocol and as last argument")
        arguments.protocol = _release(arguments.servers.pop(), parser)
    if arguments.on_change is not None and arguments.watch is None:
        raise usage_error("--on-change requires --watch")
    if arguments.watch is not None and (arguments.check or arguments.dry_run):
        raise usage_error("--watch writes files, so it excludes --check and --dry-run")
    return arguments


def make_parser() -> Parser:
    """The parser, which also prints the help."""
    parser = Parser(
        prog="siphon",
        usage=USAGE,
        description=DESCRIPTION,
        epilog="exit status:\n" + "\n".join(f"  {kind.status:<4} {kind.meaning}" for kind in KINDS),
        formatter_class=Formatter,
        add_help=False,
    )
    parser.add_argument("servers", nargs="*", help=argparse.SUPPRESS)
    _add_output(parser)
    _add_authentication(parser)
    _add_times(parser)
    _add_flags(parser)
    return parser


def _add_output(parser: Parser) -> None:
    add = parser.add_argument
    add(
        "-o",
        "--output-dir",
        metavar="DIR",
        default=".",
        help="write the files there (default: the current directory)",
    )
    add(
        "--set",
        dest="file_set",
        choices=("client", "slurmd"),
        default="client",
        help="client, for every user (default), or slurmd, for root and SlurmUser",
    )


def _add_authentication(parser: Parser) -> None:
    def release(text: str) -> Version:
        return _release(text, parser)

    add = parser.add_argument
    add(
        "--auth",
        choices=("jwt", "munge", "slurm"),
        help="how to authenticate (default: the first of these that is available)",
    )
    add("--token-file", metavar="FILE", help="read the token from there instead of SLURM_JWT")
    add("--munge-socket", metavar="PATH", help="use this munged (default: /run/munge/munge.socket.2)")
    add("--munge-key", metavar="FILE", help="make munge credentials from this key, without munged")
    add(
        "--slurm-key",
        metavar="FILE",
        help="authenticate by auth/slurm with a slurm.key or slurm.jwks (23.11 and later)",
    )
    add("--protocol", metavar="RELEASE", type=release, help="use this release's protocol only")


def _add_times(parser: Parser) -> None:
    add = parser.add_argument
    add(
        "--timeout",
        metavar="SECONDS",
        type=_seconds,
        default=DEFAULT_TIMEOUT,
        help="limit for everything together (default: 10)",
    )
    add(
        "--watch",
        metavar="SECONDS",
        type=_seconds,
        help="repeat the fetch at this interval and write what changed; ends on SIGTERM",
    )
    add("--on-change", metavar="COMMAND", help="with --watch: run this in a shell after each change")


def _add_flags(parser: Parser) -> None:
    for short, name, text in (
        ("", "wait", "repeat until the timeout while controllers are unreachable or in standby"),
        ("", "dry-run", "show what would be written and removed"),
        ("", "check", "write nothing; exit with 1 if the directory differs"),
        ("", "strict", "treat an incomplete set as an error and write nothing"),
        ("", "private", "use modes 0640 and 0750 instead of 0644 and 0755"),
        ("", "sync", "wait until the files are on the disk, safe from power failures, too"),
        ("", "json", "describe the result in one line of JSON"),
        ("q", "quiet", "print nothing unless something fails"),
        ("v", "verbose", "print the requests and their outcomes"),
        ("l", "list", "list the releases whose protocol siphon supports"),
        ("V", "version", "print siphon's version"),
        ("h", "help", "print this help"),
    ):
        names = [f"-{short}", f"--{name}"] if short else [f"--{name}"]
        parser.add_argument(*names, action="store_true", help=text)


def _seconds(text: str) -> float:
    """A positive number of seconds."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e9:
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds above 0")
    return value


def _is_release(word: str) -> bool:
    """Whether a word is a release as in straw: two digits, a dot, digits."""
    major, dot, minor = word.partition(".")
    digits = f"{major}{minor}".isascii() and major.isdigit() and minor.isdigit()
    return bool(dot) and len(major) == 2 and digits


def _release(text: str, parser: Parser) -> Version:
    found = versions.by_release(text)
    if found is None:
        known = f"{versions.OLDEST.release} to {versions.NEWEST.release}"
        parser.error(f"release {text} is unknown: siphon supports {known}")
    return found
