"""The reference of commands, from what `--help` is made of."""

from __future__ import annotations

import click

from lab.cli.main import SECTIONS, LazyGroup
from tests.reference.page import table

NAME = "lab"


def reference() -> str:
    """Every command with its usage, help and options, in the order of `lab --help`."""
    group = LazyGroup(NAME)
    context = click.Context(group, info_name=NAME)
    parts = []
    for section, names in SECTIONS.items():
        parts.append(f"### {section}")
        for name in names:
            command = group.get_command(context, name)
            assert command is not None, name
            parts += _command(command, click.Context(command, info_name=name, parent=context), "####")
    return "\n\n".join(parts)


def _command(command: click.Command, context: click.Context, level: str) -> list[str]:
    usage = " ".join((context.command_path, *command.collect_usage_pieces(context)))
    parts = [f"{level} {context.command_path}", f"```\n{usage}\n```", _paragraphs(command.help or "")]
    if rows := [
        _option(p) for p in command.get_params(context) if isinstance(p, click.Option) and not p.hidden
    ]:
        parts.append(table(("Option", "Meaning"), [row for row in rows if "--help" not in row[0]]))
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None, name
            parts += _command(below, click.Context(below, info_name=name, parent=context), level + "#")
    return parts


def _option(option: click.Option) -> tuple[str, str]:
    names = ", ".join(option.opts)
    if isinstance(option.type, click.Choice):
        names += f" [{'|'.join(str(choice) for choice in option.type.choices)}]"
    elif not option.is_flag and option.type.name:
        names += f" {option.metavar or option.type.name.upper()}"
    return f"`{names}`", option.help or ""


def _paragraphs(text: str) -> str:
    plain = text.replace("\b\n", "").split("\f", maxsplit=1)[0]
    return "\n\n".join(" ".join(part.split()) for part in plain.split("\n\n")).replace("<", "&lt;")
