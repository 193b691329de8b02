"""Frozen dataclasses that cost nothing to import.

`dataclasses` pulls in `inspect` and `re`: 15 ms where a bare interpreter starts in 8 and a fetch takes one. A
type checker sees the real decorator; at run time this one makes the same frozen value, and generates no code.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass  # noqa: PLC0414 - the explicit form of a re-export
else:

    def dataclass(*, frozen: bool) -> object:
        """The part of `dataclasses.dataclass` that our records use: frozen, comparable, with defaults."""
        if not frozen:
            raise TypeError("our records are frozen")
        return _complete


def _complete(cls: type) -> type:
    """Gives a class with annotated fields its constructor, comparison and text."""
    fields = tuple(vars(cls).get("__annotations__", ()))
    defaults = {name: cls.__dict__[name] for name in fields if name in cls.__dict__}

    def __init__(self: object, *values: object, **named: object) -> None:  # noqa: N807
        if len(values) > len(fields):
            raise TypeError(f"{cls.__name__} takes {len(fields)} values, not {len(values)}")
        given = dict(zip(fields, values))
        if not given.keys().isdisjoint(named) or not named.keys() <= set(fields):
            raise TypeError(f"{cls.__name__} has the fields {', '.join(fields)}")
        state = {**defaults, **given, **named}
        if len(state) < len(fields):
            raise TypeError(f"{cls.__name__} lacks {', '.join(name for name in fields if name not in state)}")
        self.__dict__.update(state)

    def __eq__(self: object, other: object) -> bool:  # noqa: N807
        return self.__dict__ == other.__dict__ if type(other) is type(self) else NotImplemented

    def __hash__(self: object) -> int:  # noqa: N807
        return hash(tuple(self.__dict__[name] for name in fields))

    def __repr__(self: object) -> str:  # noqa: N807
        return f"{cls.__name__}({', '.join(f'{name}={self.__dict__[name]!r}' for name in fields)})"

    def frozen(_self: object, name: str, *_value: object) -> None:
        raise AttributeError(f"{cls.__name__} is frozen: {name} cannot change")

    own = cls.__dict__
    for method in (__init__, __eq__, __hash__, __repr__):
        if method.__name__ not in own or (method is __hash__ and own["__hash__"] is None):
            setattr(cls, method.__name__, method)
    cls.__setattr__ = frozen  # type: ignore[method-assign]
    cls.__delattr__ = frozen  # type: ignore[assignment,method-assign]
    return cls


class Secret:
    """Bytes that must not be shown: no text of it, in a log or a traceback, holds them."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value = value

    def reveal(self) -> bytes:
        """The bytes, for the one place that sends or signs with them."""
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "Secret(…)"
