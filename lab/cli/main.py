"""The command `lab`: a table of commands, each imported only when it is used, and the last catch."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import MutableMapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import click

from lab.errors import Exit, LabError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from lab.cli.app import App

# Help must not import the commands, so their one-line helps stand here too; a test compares them.
SECTIONS: dict[str, dict[str, str]] = {
    "Life of the lab": {
        "up": "Bring the lab up, or change it to what lab.toml says.",
        "down": "Remove the lab with all that belongs to it.",
        "power": "Switch nodes on and off, or cycle them.",
        "snapshot": "Keep the lab's present state under a name.",
        "restore": "Put the lab back to a snapshot.",
    },
    "Looking": {
        "status": "Show how each node stands.",
        "ls": "List every lab on this machine, orphans included.",
        "shell": "Open a shell in a node, or run one command there.",
        "console": "Show what a node wrote to its console, or type there.",
        "logs": "Show a node's journal.",
        "cp": "Copy files into a node or out of it.",
        "credentials": "Show the accounts and passwords generated for this lab.",
    },
    "Learning": {
        "exercises": "List the chapters and exercises, and which you have solved.",
        "start": "Put the lab into an exercise's start state.",
        "show": "Show an exercise's text.",
        "check": "Say which of an exercise's checks hold.",
        "hint": "Give a hint, then a bigger one.",
        "solve": "Type an exercise's solution while you watch.",
        "reset": "Put an exercise, or one node, back to its start.",
        "next": "Name the exercise to do next.",
        "progress": "Show or export what you have finished.",
    },
    "Care": {
        "doctor": "Try what this machine can do; each finding ends with its fix.",
        "validate": "Check lab.toml, and report every problem at once.",
        "images": "Build and list the node images.",
        "completion": "Print the completion script for your shell.",
    },
}


class LazyGroup(click.Group):
    """A group that knows its commands by name, and imports one only to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command, in the order of the help."""
        del ctx
        return [name for section in SECTIONS.values() for name in section]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports one command's module; each offers it as `command`."""
        if cmd_name not in self.list_commands(ctx):
            return None
        found: click.Command = importlib.import_module(f"lab.cli.{cmd_name}").command
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Names the nearest command when there is none of that name."""
        if args and not args[0].startswith("-") and args[0] not in self.list_commands(ctx):
            import difflib

            close = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
            more = f" Did you mean {close[0]}?" if close else ""
            ctx.fail(f"No such command '{args[0]}'.{more}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the table without importing a command."""
        del ctx
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl(list(commands.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Completes command names without importing a command."""
        from click.shell_completion import CompletionItem

        commands = {name: text for section in SECTIONS.values() for name, text in section.items()}
        found = [CompletionItem(name, help=text) for name, text in commands.items()]
        options = click.Command.shell_complete(self, ctx, incomplete)
        return [item for item in found if item.value.startswith(incomplete)] + options

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Runs a command and ends the process with its exit code; catches everything once."""
        del standalone_mode, windows_expand_args
        app = extra.pop("obj", None) or _app()
        code: int
        try:
            value = super().main(
                args, prog_name or "lab", complete_var, standalone_mode=False, obj=app, **extra
            )
            code = value if isinstance(value, int) else Exit.OK
        except click.ClickException as problem:
            problem.show()
            code = problem.exit_code
        except (click.Abort, KeyboardInterrupt):
            code = _interrupted(app)
        except LabError as problem:
            code = _failed(app, problem)
        except Exception as problem:
            code = _crashed(app, problem)
        _leave(code)


@click.group(
    cls=LazyGroup,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "auto_envvar_prefix": "LAB",
        "max_content_width": 110,
    },
    epilog="Every option can also be given as a variable: lab up --timeout is LAB_UP_TIMEOUT. "
    "Exit status: 0 fine, 1 not solved, 2 usage, 3 the lab broke, 4 locked, 5 could not tell.",
)
@click.version_option(package_name="rackling", prog_name="lab")
@click.option(
    "--backend",
    type=click.Choice(("docker", "libvirt")),
    envvar="LAB_BACKEND",
    help="What makes the nodes: containers (the default) or virtual machines [LAB_BACKEND].",
)
@click.pass_obj
def main(app: App, backend: str | None) -> None:
    """Rackling: an emulated HPC cluster, and a course on it. Begin with: lab up."""
    if backend:
        app.environ = {**app.environ, "LAB_BACKEND": backend}
    if app.environ.get("NO_COLOR"):
        click.get_current_context().color = False


def _app() -> App:
    from lab.cli.app import App

    return App(os.environ)


def _leave(code: int) -> NoReturn:
    """Flushes first: a reader that has gone away must not turn into a traceback at exit."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(int(code))


def _colour(environ: MutableMapping[str, str] | Any) -> bool | None:
    return False if environ.get("NO_COLOR") else None


def _failed(app: App, problem: LabError) -> int:
    from lab.cli.output import show_error

    show_error(problem, color=_colour(app.environ))
    if app.environ.get("LAB_DEBUG") == "1":
        import traceback

        click.echo("".join(traceback.format_exception(problem)), err=True)
    return problem.code


def _interrupted(app: App) -> int:
    if app.interrupted:
        click.echo(f"\ninterrupted: {app.interrupted}", err=True, color=_colour(app.environ))
    return Exit.INTERRUPTED


def _crashed(app: App, problem: Exception) -> int:
    from lab.cli.crash import report

    _failed(app, report(app.paths, problem, app.environ))
    return Exit.BROKEN


if __name__ == "__main__":
    main()
