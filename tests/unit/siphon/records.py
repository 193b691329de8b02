"""Records of siphon as plain values, which can be compared."""

from __future__ import annotations

from lab.siphon.protocol.messages import Secret


def values(record: object) -> object:
    """A record's fields by name, records inside it included; anything else as it is."""
    if isinstance(record, tuple):
        return tuple(values(one) for one in record)
    names = getattr(type(record), "__slots__", None)
    if names is None or isinstance(record, Secret):
        return record
    return {name: values(getattr(record, name)) for name in names}
