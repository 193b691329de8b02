"""Settings and memory as JSON values, and back. What does not fit is refused, never guessed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from lab.rollout.planning.memory import Memory, Mode, Outcome, Phase, Record
from lab.rollout.planning.policy import Amount, Floor, Policy, Window
from lab.rollout.settings import Settings

SCHEMA = 1
KINDS: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "str": (str,),
    "bool": (bool,),
    "float": (int, float),
    "Phase": (Phase,),
}


class EncodingError(ValueError):
    """A state that this release cannot read."""


def encode(settings: Settings, memory: Memory) -> dict[str, Any]:
    """The whole state as JSON values."""
    return {"schema": SCHEMA, "settings": asdict(settings), "memory": asdict(memory)}


def decode(state: Any) -> tuple[Settings, Memory]:
    """The state that `encode` made. Raises `EncodingError`."""
    if not isinstance(state, dict) or state.get("schema") != SCHEMA:
        raise EncodingError(f"it is not a state of schema {SCHEMA}")
    try:
        return _settings(state["settings"]), _memory(state["memory"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise EncodingError(f"{type(error).__name__}: {error}") from None


def _settings(values: Mapping[str, Any]) -> Settings:
    partitions = tuple(values["partitions"])
    return Settings(**{**values, "policy": _policy(values["policy"]), "partitions": partitions})


def _policy(values: Mapping[str, Any]) -> Policy:
    size, window = values["wave_size"], values["window"]
    return Policy(
        **{
            **values,
            "wanted": tuple(values["wanted"]),
            "max_unavailable": Amount(**values["max_unavailable"]),
            "floors": tuple(Floor(f["kind"], f["name"], Amount(**f["amount"])) for f in values["floors"]),
            "wave_size": None if size is None else Amount(**size),
            "window": None if window is None else Window(**window),
        }
    )


def _memory(values: Mapping[str, Any]) -> Memory:
    outcome = values["outcome"]
    return Memory(
        **{
            **values,
            "records": {name: _record(record) for name, record in values["records"].items()},
            "mode": Mode(values["mode"]),
            "outcome": None if outcome is None else Outcome(outcome),
        }
    )


def _record(values: Mapping[str, Any]) -> Record:
    record = Record(**{**values, "phase": Phase(values["phase"])})
    for field in fields(Record):
        value = getattr(record, field.name)
        if not isinstance(value, KINDS[str(field.type)]):
            raise TypeError(f"{field.name} is {type(value).__name__}, not {field.type}")
    return record
