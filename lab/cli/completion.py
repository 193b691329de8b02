"""`lab completion`: prints the script by which a shell completes `lab` commands."""

from __future__ import annotations

import click


@click.command("completion", short_help="Print the completion script for your shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script for your shell.

    For bash, add this line to ~/.bashrc: eval "$(lab completion bash)". zsh and fish work the same way.
    """
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"there is no completion script for {shell}, only for bash, zsh and fish")
    root = ctx.find_root()
    click.echo(found(root.command, {}, root.info_name or "lab", "_LAB_COMPLETE").source())
