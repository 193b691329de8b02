"""`lab shell`: opens a shell in a node, or runs one command there."""

from __future__ import annotations

import sys
from typing import TextIO

import click

from lab.cli.app import App
from lab.cli.options import lab_option, node_argument

_TAKES_VALUE = ("-u", "--user", "-l", "--lab")


class ShellCommand(click.Command):
    """Takes options before or right after NODE; everything after them belongs to the node's command."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Puts `--` before the node's command."""
        mine, theirs = split_command(args)
        return super().parse_args(ctx, [*mine, "--", *theirs] if theirs else mine)


def split_command(args: list[str]) -> tuple[list[str], list[str]]:
    """Splits `[options] NODE [options] [--] CMD…` into the arguments of lab and the node's command."""
    mine: list[str] = []
    node_seen = False
    rest = list(args)
    while rest:
        if rest[0] == "--":
            return mine, rest[1:]
        if rest[0] in _TAKES_VALUE:
            mine += rest[:2]
            del rest[:2]
            continue
        if not rest[0].startswith("-"):
            if node_seen:
                return mine, rest
            node_seen = True
        mine.append(rest.pop(0))
    return mine, []


@click.command("shell", cls=ShellCommand, short_help="Open a shell in a node, or run one command there.")
@node_argument
@click.argument("words", nargs=-1, metavar="[CMD]...")
@click.option(
    "-u",
    "--user",
    metavar="USER",
    help="User in the node; default user1 on sms, login and client, root elsewhere.",
)
@lab_option
@click.pass_obj
def command(app: App, node: str, words: tuple[str, ...], user: str | None, lab: str | None) -> int:
    """Open a shell in a node, or run one command there.

    A CMD of one word goes through the node's shell, so that 'ls | wc -l' works; several words run
    as they are. Without CMD and without a terminal, the node's shell reads a script: lab shell sms
    <script. The exit status is that of the command, or 128 + N if signal N ended it. What ends this
    command, as Ctrl-C does, also ends the one in the node.
    """
    from lab.cluster.plan import check_names
    from lab.nodes.accounts import default_user

    spec = app.known_spec(lab)
    check_names(spec, [node])
    who = user or default_user(spec.node(node).role)
    argv: tuple[str, ...] | None = words or None
    if len(words) == 1:
        argv = ("/bin/sh", "-c", words[0])
    # As with ssh, a shell needs a terminal only to read from; a command's output to a file stays unchanged.
    tty = _is_terminal(sys.stdin) and (argv is None or _is_terminal(sys.stdout))
    return app.enter(spec.lab, node, argv, user=who, tty=tty)


def _is_terminal(stream: TextIO | None) -> bool:
    """Whether it is one; Python has no stream at all where the caller had closed it."""
    return stream is not None and stream.isatty()
