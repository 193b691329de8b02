"""What README.md says of the command is so."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from lab.rollout import errors, options

ROOT = Path(__file__).resolve().parents[3]
README = (Path(options.__file__).parent / "README.md").read_text(encoding="utf-8")


def parsers() -> dict[str, argparse.ArgumentParser]:
    """The parser of each verb."""
    (verbs,) = [a for a in options.make_parser()._actions if isinstance(a, argparse._SubParsersAction)]
    return dict(verbs.choices)


def test_every_verb_and_option_is_described() -> None:
    words = set(re.findall(r"`?(--[a-z-]+|[a-z]+)", README))
    for verb, parser in parsers().items():
        assert f"| `{verb}` |" in README
        missing = {
            word for action in parser._actions for word in action.option_strings if word[:2] == "--"
        } - words
        assert not missing, (verb, missing)


def test_no_option_is_described_that_is_not_there() -> None:
    known = {word for parser in parsers().values() for a in parser._actions for word in a.option_strings}
    table = README.split("## Options")[1].split("## Exit status")[0]
    assert set(re.findall(r"`(--[a-z-]+)", table)) <= known | {"--version"}


def test_exit_statuses_are_those_of_the_program() -> None:
    table = README.split("## Exit status")[1].split("## ")[0]
    told = {int(number): text for number, text in re.findall(r"^\| (\d+) \| (.*) \|$", table, re.MULTILINE)}
    assert told == {kind.status: kind.meaning for kind in errors.KINDS}


def test_the_unit_in_the_page_is_the_one_on_a_labs_head_node() -> None:
    page = (ROOT / "docs/rollout.md").read_text(encoding="utf-8")
    shown = page.partition("# /etc/systemd/system/rollout.service\n")[2].partition("```")[0]
    unit = (ROOT / "lab/guest/files/sms/etc/systemd/system/rollout.service").read_text(encoding="utf-8")
    assert shown == unit.partition("\n")[2]
    words = re.search(r"^ExecStart=/usr/bin/rollout (.*)$", unit, re.MULTILINE)
    assert words
    assert options.parse(words[1].split()).unattended
    statuses = re.search(r"^RestartPreventExitStatus=(.*)$", unit, re.MULTILINE)
    assert statuses
    mended_by_time = {errors.OK, errors.BUG, errors.LOCKED, errors.SLURM, errors.OUTPUT, errors.INTERRUPTED}
    others = {str(kind.status) for kind in set(errors.KINDS) - mended_by_time}
    assert set(statuses[1].split()) == others


def test_every_option_has_help() -> None:
    assert all(action.help for parser in parsers().values() for action in parser._actions)
