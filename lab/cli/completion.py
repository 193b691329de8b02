"""`lab completion`: the script that teaches a shell to complete `lab`."""

from __future__ import annotations

import click


@click.command("completion", short_help="Print the completion script for your shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script for your shell.

    bash: eval "$(lab completion bash)" in ~/.bashrc; the others likewise.
    """
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"no completion for {shell}")
    root = ctx.find_root()
    click.echo(found(root.command, {}, root.info_name or "lab", "_LAB_COMPLETE").source())
