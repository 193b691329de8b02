"""The reference of lab.toml, from its schema."""

from __future__ import annotations

import json
from typing import Any

from lab.paths import SCHEMA
from tests.reference.page import table

TABLES = {"network": "[networks.internal] and [networks.external]", "node_group": "[nodes.NAME]"}
HEAD = ("Key", "Values", "Default", "Meaning")


def reference() -> str:
    """Every key with its values, default and meaning, a table for each kind of section."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    simple = {name: entry for name, entry in schema["properties"].items() if entry["type"] != "object"}
    parts = ["### At the top", _table(simple)]
    for name, definition in schema["$defs"].items():
        parts += [f"### {TABLES[name]}", _table(definition["properties"])]
    return "\n\n".join(parts)


def _table(properties: dict[str, Any]) -> str:
    rows = [
        (f"`{name}`", _values(entry), _default(entry), entry["description"])
        for name, entry in properties.items()
    ]
    return table(HEAD, rows)


def _values(entry: dict[str, Any]) -> str:
    if "enum" in entry:
        return ", ".join(f"`{value}`" for value in entry["enum"])
    if "minimum" in entry:
        return f"{entry['minimum']} to {entry['maximum']}"
    kinds = {"boolean": "`true`, `false`", "array": "a list"}
    return str(entry.get("patternHint", kinds.get(entry["type"], f"a {entry['type']}")))


def _default(entry: dict[str, Any]) -> str:
    return f"`{json.dumps(entry['default'])}`" if "default" in entry else ""
