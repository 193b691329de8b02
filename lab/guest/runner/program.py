"""The program runner: what the hook, units, pipelines and people call."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence

from lab.guest.runner import containers, delivery, pipeline, set_up, web
from lab.guest.runner.places import RunnerError
from lab.guest.system import System
from lab.printable import printable_line, printable_lines

Verb = Callable[[System, argparse.Namespace], int]


def main(arguments: Sequence[str], system: System) -> int:
    """Runs a verb; a failure is one error with its evidence."""
    try:
        given = _parser().parse_args(list(arguments))
        return VERBS[given.verb](system, given)
    except SystemExit as end:  # argparse has printed its help or an error
        return int(end.code or 0)
    except RunnerError as error:
        lines = [f"error: {printable_line(error.message)}"]
        lines += [f"  {line}" for line in printable_lines(error.evidence) if line]
        lines += [f"hint: {printable_line(error.hint)}"] if error.hint else []
        sys.stderr.write("\n".join([*lines, ""]))
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="runner", description="Builds images of nodes from commits.", allow_abbrev=False
    )
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    create = verbs.add_parser("create", help="make a bare repository")
    create.add_argument("name", metavar="NAME")
    create.add_argument("--example", action="store_true", help="with a role, its configuration and its tests")
    container = verbs.add_parser("container", help="offer a role's tree as a container that ssh starts")
    container.add_argument("role", metavar="ROLE")
    container.add_argument("--stop", action="store_true", help="stop it; its socket stays")
    deliver = verbs.add_parser("deliver", help="publish the packed image and hand the release to the SMS")
    deliver.add_argument("role", metavar="ROLE")
    deliver.add_argument("--activate", action="store_true", help="have the SMS activate it, too")
    deliver.add_argument(
        "--release",
        metavar="NAME",
        default=delivery.named(os.environ.get("CI_COMMIT_TAG", "")),
        help="default: the pushed tag, or else the commit",
    )
    receive = verbs.add_parser("receive", help="run the pipelines of a push (the hook of git)")
    receive.add_argument("path", metavar="REPOSITORY")
    idle = verbs.add_parser("idle", help="stop a container when nobody uses it (a unit)")
    idle.add_argument("role", metavar="ROLE")
    verbs.add_parser("set-up", help="get keys from the SMS (a unit)")
    verbs.add_parser("web", help="serve results (a unit)")
    return parser


def _create(system: System, given: argparse.Namespace) -> int:
    set_up.create(system, given.name, example=given.example)
    print(f"git clone git@{socket.gethostname()}:{given.name}.git")
    return 0


def _container(system: System, given: argparse.Namespace) -> int:
    if given.stop:
        containers.stop(system, given.role)
    else:
        port = containers.offer(system, given.role)
        print(f"ssh {given.role} starts and enters the container (port {port})")
    return 0


def _deliver(system: System, given: argparse.Namespace) -> int:
    for line in delivery.deliver(system, given.role, activate=given.activate, release=given.release):
        print(line)
    return 0


def _receive(system: System, given: argparse.Namespace) -> int:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a pusher who goes away stops nothing
    lines = sys.stdin.buffer.read().decode(errors="replace").split("\n")
    return pipeline.receive(system, given.path, lines, sys.stdout)


def _idle(system: System, given: argparse.Namespace) -> int:
    containers.watch(system, given.role)
    return 0


def _set_up(system: System, _given: argparse.Namespace) -> int:
    set_up.run(system)
    return 0


def _web(system: System, _given: argparse.Namespace) -> int:
    web.server(system).serve_forever()
    return 0


VERBS: Mapping[str, Verb] = {
    "create": _create,
    "container": _container,
    "deliver": _deliver,
    "receive": _receive,
    "idle": _idle,
    "set-up": _set_up,
    "web": _web,
}
