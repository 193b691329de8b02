"""The command line of slurm-token."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NoReturn

from lab.slurm_token.accounts import BARRED, LEAST_UID
from lab.slurm_token.errors import USAGE, TokenError, printable
from lab.slurm_token.issue import SHORTEST
from lab.slurm_token.keys import LONGEST

KEYS = Path("/var/lib/slurm-token")
SOCKET = Path("/run/slurm-token/socket")
LIFESPAN = 600
DESCRIPTION = """\
Hands a caller that it can identify a short-lived token of Slurm's, for its own account only.

A process of this machine asks at a Unix socket; a user of a JupyterHub and a service account of Kubernetes
ask over the network with a token of theirs. README.md beside the source has the rotation of keys."""


class Parser(argparse.ArgumentParser):
    """Raises `TokenError` for wrong usage, where argparse would print and exit."""

    def error(self, message: str) -> NoReturn:
        """Raises the error for wrong usage."""
        raise TokenError(printable(message, 400), hint="slurm-token --help", status=USAGE)


def make_parser(version: str) -> Parser:
    """The parser of all commands."""
    parser = Parser(
        "slurm-token", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"slurm-token {version}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_serve(commands.add_parser("serve", help="answer callers until SIGTERM"))
    _add_key(commands.add_parser("key", help="list, add, use or drop signing keys"))
    _add_get(commands.add_parser("get", help="ask for a token and write it to a file"))
    return parser


def _add_serve(serve: argparse.ArgumentParser) -> None:
    _add_keys(serve)
    add = serve.add_argument
    add("--socket", type=Path, metavar="PATH", help=f"answer processes of this machine here, e.g. {SOCKET}")
    add("--socket-mode", type=_mode, default=0o666, metavar="MODE", help="who may ask there (666: everybody)")
    add("--listen", type=_address, metavar="HOST:PORT", help="answer the network here")
    add("--tls", type=Path, nargs=2, metavar=("CERT", "KEY"), help="certificate and key for the network")
    add("--plain-http", action="store_true", help="without TLS: for a network that nobody else reads")
    add("--hub", metavar="URL", help="the API of a JupyterHub: https://HOST/hub/api")
    add("--kubernetes", metavar="URL", help="the API of Kubernetes: https://kubernetes.default.svc")
    add("--upstream-ca", metavar="FILE", help="the authority that certified the Hub or the API")
    add("--own-token", type=Path, metavar="FILE", help="this service's own token for the Kubernetes API")
    add("--accounts", type=Path, metavar="FILE", help='service accounts: {"NAMESPACE:NAME": "ACCOUNT"}')
    add("--lifespan", type=_lifespan, default=LIFESPAN, metavar="SECONDS",
        help=f"life of a token: {SHORTEST} to {LONGEST}, {LIFESPAN} if not given")  # fmt: skip
    add("--least-uid", type=int, default=LEAST_UID, metavar="UID", help=f"no token below this ({LEAST_UID})")
    add("--bar", action="append", default=list(BARRED), metavar="ACCOUNT",
        help=f"no token for it, as for SlurmUser of another name; also {', '.join(BARRED)}")  # fmt: skip
    add(
        "--audit",
        default="-",
        metavar="FILE",
        help="append a line for each answer here, not to standard error",
    )


def _add_key(key: argparse.ArgumentParser) -> None:
    acts = key.add_subparsers(dest="act", required=True, metavar="ACT")
    for act, told in (
        ("list", "show the keys"),
        ("add", "make a key that is valid and does not sign yet"),
        ("use", "let a key sign from now on"),
        ("drop", "remove a key that no living token needs"),
    ):
        one = acts.add_parser(act, help=told)
        _add_keys(one)
        if act == "list":
            one.add_argument("--json", action="store_true", help="as JSON, with times in seconds since 1970")
        if act in ("use", "drop"):
            one.add_argument("kid", metavar="KEY")
        if act == "drop":
            one.add_argument("--force", action="store_true", help="at once: its living tokens end")


def _add_get(get: argparse.ArgumentParser) -> None:
    add = get.add_argument
    add("url", metavar="URL", help="unix:PATH, https://HOST:PORT/v1/token/hub or …/kubernetes")
    add("-o", "--output", type=Path, required=True, metavar="FILE", help="the file to write; mode 600")
    add("--bearer", type=Path, metavar="FILE", help="holds the token of the Hub or of the service account")
    add("--ca", type=Path, metavar="FILE", help="the authority that certified the service")
    add("--keep", action="store_true", help="renew it before it ends, until SIGTERM")


def _add_keys(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--keys", type=Path, default=KEYS, metavar="DIR", help=f"folder of the keys ({KEYS})")


def _mode(text: str) -> int:
    value = int(text, 8)
    if value & ~0o666:
        raise argparse.ArgumentTypeError("666, 660 or 600")
    return value


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 65535:
        raise argparse.ArgumentTypeError("HOST:PORT")
    return host.strip("[]"), int(port)


def _lifespan(text: str) -> int:
    value = int(text)
    if not SHORTEST <= value <= LONGEST:
        raise argparse.ArgumentTypeError(f"{SHORTEST} to {LONGEST} seconds")
    return value
