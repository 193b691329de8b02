"""`lab validate`: checks the configuration of a lab."""

from __future__ import annotations

from pathlib import Path

import click

from lab.cli.app import App
from lab.cli.options import config_option, json_option, lab_option, set_option


@click.command("validate", short_help="Check lab.toml and report every problem.")
@lab_option
@config_option
@set_option
@click.option("--schema", is_flag=True, help="Print the JSON Schema of lab.toml instead.")
@json_option
@click.pass_obj
def command(
    app: App, lab: str | None, config: Path | None, sets: tuple[str, ...], schema: bool, as_json: bool
) -> None:
    """Check lab.toml and report every problem.

    With --json, print the complete specification of the lab.
    """
    from lab.cli.output import show_json
    from lab.paths import SCHEMA
    from lab.serialize import spec_to_dict

    if schema:
        click.echo(SCHEMA.read_text(encoding="utf-8"), nl=False)
        return
    spec = app.spec(config, sets, lab)
    if as_json:
        show_json(spec_to_dict(spec))
        return
    source = app.config_path(config) or "the built-in configuration"
    click.echo(f"{source} is valid: lab {spec.lab}, {', '.join(node.name for node in spec.nodes)}")
