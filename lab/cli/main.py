"""The command `lab`: imports a subcommand only to run it, and turns every error into an exit status."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

import click

from lab.cli.arguments import UnreadError, command_first, is_plain, unread_as_error
from lab.errors import Exit, LabError, closest

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from lab.cli.app import App

# `lab --help` must not import the commands, so their short helps are repeated here; a test compares them.
SECTIONS: dict[str, dict[str, str]] = {
    "Lab": {
        "setup": "Build the images, bring the lab up, and prove the first exercise.",
        "up": "Bring the lab up, or change it to what lab.toml says.",
        "down": "Remove the lab with all that belongs to it.",
        "power": "Power nodes on, off, or off and on.",
        "snapshot": "Save the lab's state under a name.",
        "restore": "Return the lab to a snapshot.",
    },
    "Inspection": {
        "status": "Show the state of each node.",
        "ls": "List every lab of one backend.",
        "shell": "Open a shell in a node, or run one command there.",
        "console": "Show a node's console, or type on it.",
        "logs": "Show a node's journal.",
        "cp": "Copy files into a node or out of it.",
        "credentials": "Show the accounts and passwords of this lab.",
    },
    "Learning": {
        "exercises": "List the exercises and your progress.",
        "web": "Show lab and course as a page in your browser.",
        "start": "Bring the lab to an exercise's start state.",
        "show": "Show an exercise's text.",
        "check": "Run an exercise's checks and show which hold.",
        "hint": "Show a hint, then a more explicit one.",
        "solve": "Type an exercise's solution while you watch.",
        "reset": "Return an exercise or a node to its start.",
        "next": "Show which exercise comes next.",
        "progress": "Show or export your progress.",
    },
    "Maintenance": {
        "doctor": "Test whether this host can run labs, and name fixes.",
        "validate": "Check lab.toml and report every problem.",
        "images": "Build and list the node images.",
        "portal": "Run JupyterLab beside a whole Slurm.",
        "completion": "Print the completion script for your shell.",
    },
}


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one only to run it."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Parses the command line; what is printed there, such as the help, may find no reader."""
        with unread_as_error():
            return super().make_context(info_name, args, parent, **extra)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Accepts a command's options before the command, too: lab -l mine up."""
        return super().parse_args(ctx, command_first(args))

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command, whose output may find no reader."""
        with unread_as_error():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Lists every command, in the order of the help."""
        del ctx
        return [name for section in SECTIONS.values() for name in section]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports the module of a command, which defines it as `command`."""
        if cmd_name not in self.list_commands(ctx):
            return None
        found: click.Command = importlib.import_module(f"lab.cli.{cmd_name}").command
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Reports an unknown command with the closest known name."""
        if args and not args[0].startswith("-") and args[0] not in self.list_commands(ctx):
            found = closest(args[0], self.list_commands(ctx))
            more = f" Did you mean {found}?" if found else ""
            ctx.fail(f"No such command '{args[0]}'.{more}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the list of commands without importing one."""
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
        """Runs a command and ends the process with its exit status; catches every error."""
        del standalone_mode, windows_expand_args
        app: App | None = extra.pop("obj", None)
        code: int
        try:
            app = app or _app()
            code = self._status(app, args, prog_name or "lab", complete_var, **extra)
        except (BrokenPipeError, UnreadError):
            code = Exit.UNREAD
        except Exception as problem:
            code = _crashed(app, problem)
        _leave(app, code)

    def _status(
        self, app: App, args: Sequence[str] | None, prog_name: str, complete_var: str | None, **extra: Any
    ) -> int:
        """Runs a command; every error becomes its status, except that nobody reads the output."""
        try:
            value = super().main(args, prog_name, complete_var, standalone_mode=False, obj=app, **extra)
            return value if isinstance(value, int) else Exit.OK
        except click.ClickException as problem:
            problem.show()
            return problem.exit_code
        except (click.Abort, KeyboardInterrupt):
            return _interrupted(app)
        except LabError as problem:
            return _failed(app, problem)
        except UnreadError:
            raise
        except Exception as problem:
            return _crashed(app, problem)


@click.group(
    cls=LazyGroup,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "auto_envvar_prefix": "LAB",
        "max_content_width": 110,
    },
    epilog="Every option can also be set as a variable: lab up --timeout is LAB_UP_TIMEOUT. "
    "Exit status: 0 success, 1 not solved, 2 wrong usage, 3 the lab failed, 4 locked, 5 unknown.",
)
@click.version_option(package_name="rackling", prog_name="lab")
@click.option(
    "--backend",
    type=click.Choice(("docker", "libvirt")),
    envvar="LAB_BACKEND",
    help="Run nodes as containers (docker, the default) or virtual machines (libvirt) [LAB_BACKEND].",
)
@click.pass_obj
def main(app: App, backend: str | None) -> None:
    """Rackling: an emulated HPC cluster and a course about running it. Start with: lab setup."""
    if backend:
        app.environ = {**app.environ, "LAB_BACKEND": backend}
    if _colour(app.environ) is False:
        click.get_current_context().color = False


def _app() -> App:
    from lab.cli.app import App

    if None in (sys.stdin, sys.stdout, sys.stderr):
        from lab.cli.streams import open_missing

        open_missing()
    return App(os.environ)


def _leave(app: App | None, code: int) -> NoReturn:
    """Flushes before exit, so that a closed pipe causes no traceback, and a full disk is told."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = code or Exit.UNREAD
        _silence(sys.stdout)
    except OSError as problem:
        code = _crashed(app, problem)
    try:
        sys.stderr.flush()
    except OSError:
        _silence(sys.stderr)
    sys.exit(int(code))


def _silence(stream: TextIO) -> None:
    from lab.cli.streams import silence

    silence(stream)


def _colour(environ: Mapping[str, str]) -> bool | None:
    return False if is_plain(environ) else None


def _failed(app: App | None, problem: LabError) -> int:
    from lab.cli.output import show_error, show_trace

    environ = os.environ if app is None else app.environ
    with suppress(OSError):  # nobody can read it: the exit status must do
        show_error(problem, color=_colour(environ))
        if environ.get("LAB_DEBUG") == "1":
            import traceback

            show_trace("".join(traceback.format_exception(problem)))
    return problem.code


def _interrupted(app: App | None) -> int:
    if app is not None and app.interrupted:
        click.echo(f"\ninterrupted: {app.interrupted}", err=True, color=_colour(app.environ))
    return Exit.INTERRUPTED


def _crashed(app: App | None, problem: Exception) -> int:
    """Tells what the system refused in one error; all else is a mistake of ours."""
    from lab.cli import streams
    from lab.cli.crash import report

    told = streams.told(problem) if isinstance(problem, OSError) else None
    if told is None:
        environ = os.environ if app is None else app.environ
        told = report(environ, problem)
    _failed(app, told)
    return Exit.BROKEN


if __name__ == "__main__":
    main()
