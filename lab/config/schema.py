"""Checks a configuration against schema.json; knows the part of JSON Schema that this file uses."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lab.config.toml_lines import KeyPath
from lab.errors import did_you_mean
from lab.paths import SCHEMA

Schema = Mapping[str, Any]

_TYPES: dict[str, tuple[type, str]] = {
    "string": (str, "a string in quotes"),
    "integer": (int, "a whole number"),
    "boolean": (bool, "true or false"),
    "array": (list, "a list"),
    "object": (dict, "a table"),
}


@dataclass(frozen=True)
class Problem:
    """One problem of a configuration, and the key to which it belongs."""

    path: KeyPath
    text: str


def read_schema() -> Schema:
    """Reads the schema of lab.toml."""
    schema: Schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return schema


def validate(value: object, schema: Schema, root: Schema, path: KeyPath = ()) -> Iterator[Problem]:
    """Yields every problem of a value, in the order of its keys."""
    schema = resolve(schema, root)
    wanted, words = _TYPES[schema["type"]]
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        yield Problem(path, f"{shown(path, value)}: must be {words}")
    elif isinstance(value, dict):
        yield from _validate_table(value, schema, root, path)
    elif isinstance(value, list):
        for index, item in enumerate(value, start=1):
            yield from validate(item, schema["items"], root, (*path, str(index)))
    else:
        yield from _validate_plain(value, schema, path)


def resolve(schema: Schema, root: Schema) -> Schema:
    """Follows a reference to the schema's definitions."""
    reference = schema.get("$ref")
    if reference is None:
        return schema
    found: Schema = root["$defs"][reference.removeprefix("#/$defs/")]
    return found


def schema_at(path: KeyPath, root: Schema) -> Schema | None:
    """Returns the schema of one key, or None if there is no such key."""
    here: Schema | None = root
    for part in path:
        if here is None:
            return None
        here = resolve(here, root)
        here = _member(here, part)
    return None if here is None else resolve(here, root)


def shown(path: KeyPath, value: object) -> str:
    """Writes a key and its value as they are in the file."""
    return f"{'.'.join(path)} = {json.dumps(value, ensure_ascii=False, default=str)}"


def _member(schema: Schema, name: str) -> Schema | None:
    if schema.get("type") != "object":
        return None
    if name in schema.get("properties", {}):
        found: Schema = schema["properties"][name]
        return found
    others = schema.get("additionalProperties")
    return others if isinstance(others, dict) else None


def _validate_table(
    value: Mapping[str, object], schema: Schema, root: Schema, path: KeyPath
) -> Iterator[Problem]:
    for key, item in value.items():
        member = _member(schema, key)
        here = (*path, key)
        names = schema.get("propertyNames")
        if member is None:
            yield Problem(
                here, f"{'.'.join(here)}: no such key{did_you_mean(key, schema['properties'], list_all=True)}"
            )
        elif names is not None and not re.search(names["pattern"], key):
            yield Problem(here, f"{'.'.join(here)}: a name must be {names['patternHint']}")
        else:
            yield from validate(item, member, root, here)


def _validate_plain(value: object, schema: Schema, path: KeyPath) -> Iterator[Problem]:
    words = ""
    allowed = schema.get("enum")
    if allowed is not None and value not in allowed:
        words = f"not a valid value{did_you_mean(str(value), allowed, list_all=True)}"
    elif isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        words = f"must be {schema['patternHint']}"
    elif isinstance(value, int) and value < schema.get("minimum", value):
        words = f"must be at least {schema['minimum']}"
    elif isinstance(value, int) and value > schema.get("maximum", value):
        words = f"must be at most {schema['maximum']}"
    if words:
        yield Problem(path, f"{shown(path, value)}: {words}")
