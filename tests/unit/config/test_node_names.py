"""Node groups whose names mean something else are refused; so nothing later fails because of a name."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.config.loader import DEFAULTS, load
from lab.config.node_names import RESERVED, name_fault
from lab.config.schema import read_schema
from lab.errors import UsageError


@pytest.mark.parametrize("name", RESERVED)
def test_a_reserved_name_is_refused_where_it_is_written(tmp_path: Path, name: str) -> None:
    file = tmp_path / "lab.toml"
    file.write_text(f"\n[nodes.{name}]\ncount = 1\n")
    with pytest.raises(UsageError) as caught:
        load(file, [], {}, None)
    assert caught.value.evidence == f"{file}:2: nodes.{name}: the name {name} is reserved: {RESERVED[name]}"


def test_every_key_of_lab_toml_is_reserved() -> None:
    assert set(read_schema()["properties"]) <= set(RESERVED)


def test_the_names_of_the_default_lab_are_free() -> None:
    assert not [name for name in DEFAULTS["nodes"] if name_fault(name, numbered=False)]


def test_a_name_with_a_dash_at_its_end_needs_a_number() -> None:
    assert name_fault("rack-", numbered=True) == ""
    assert name_fault("rack-", numbered=False) == "the name of a machine cannot end with a dash"


@pytest.mark.parametrize("name", ["partitions", "login-node"])
def test_a_node_cannot_have_the_name_of_an_exercise(name: str) -> None:
    assert name_fault(name, numbered=False) == (
        f"the name {name} is reserved: it is an exercise, and lab reset takes either"
    )
    assert name_fault(name, numbered=True) == ""
