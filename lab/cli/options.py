"""Defines the options and arguments that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

F = TypeVar("F", bound=Callable[..., object])
MODES = ("auto", "tty", "plain", "json", "quiet")


def complete_nodes(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Returns the node names of the configured lab, for the shell's completion."""
    del ctx, param
    import os

    from click.shell_completion import CompletionItem

    from lab.cli.app import App
    from lab.errors import LabError

    try:
        spec = App(os.environ).spec(None, (), None)
    except LabError:
        return []
    return [
        CompletionItem(node.name, help=node.role.value)
        for node in spec.nodes
        if node.name.startswith(incomplete)
    ]


lab_option = click.option(
    "-l", "--lab", "lab", metavar="NAME", envvar="LAB_NAME", help="Name of the lab [LAB_NAME]."
)
config_option = click.option(
    "--config",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="LAB_CONFIG",
    help="Configuration file to read instead of lab.toml [LAB_CONFIG].",
)
json_option = click.option(
    "--json", "as_json", is_flag=True, envvar="LAB_JSON", help="Print JSON [LAB_JSON]."
)
yes_option = click.option(
    "-y", "--yes", is_flag=True, envvar="LAB_YES", help="Do not ask before data is lost [LAB_YES]."
)
wait_option = click.option(
    "--wait/--no-wait", default=True, help="Wait until the nodes are ready (the default)."
)
timeout_option = click.option(
    "--timeout",
    type=click.FloatRange(min=1),
    metavar="SECONDS",
    help="Longest time to wait; default 180, longer for virtual machines and on a slow host.",
)
progress_option = click.option(
    "--progress",
    "mode",
    type=click.Choice(MODES),
    default="auto",
    envvar="LAB_PROGRESS",
    help="Form of the progress on stderr [LAB_PROGRESS].",
)


class SetOption(click.Option):
    """The option `--set`; the configuration reads its variable LAB_SET, so click must not read it too."""

    def resolve_envvar_value(self, ctx: click.Context) -> Any:
        """Returns nothing; `lab.config.loader.load` reads LAB_SET."""
        del ctx


set_option = click.option(
    "--set",
    "sets",
    cls=SetOption,
    multiple=True,
    metavar="KEY=VALUE",
    help="Set one key of the configuration, such as c.count=8 [LAB_SET].",
)


def nodes_argument(*, required: bool) -> Callable[[F], F]:
    """Makes the argument NODE…, with completion."""
    return click.argument(
        "nodes",
        nargs=-1,
        required=required,
        metavar="NODE..." if required else "[NODE]...",
        shell_complete=complete_nodes,
    )


node_argument = click.argument("node", metavar="NODE", shell_complete=complete_nodes)
