"""What `wwsh object print` shows of an object: its keys, and those of a node's network devices."""

from __future__ import annotations

from collections.abc import Iterator

from lab.guest.warewulf.model import NETDEV_FIELDS, UNDEF, Kind, NetDev, Record
from lab.guest.warewulf.session import Session

REFERENCES = {"VNFS": ("VNFSID", Kind.VNFS), "BOOTSTRAP": ("BOOTSTRAPID", Kind.BOOTSTRAP)}
"""Keys that Provision.pm's methods make from the number that a node holds."""


def value(session: Session, record: Record, field: str) -> str:
    """One field as text: a key, a key of the devices, or `[NETDEVS.]DEVICE.KEY`; UNDEF without a value."""
    key = field.upper()
    internal = {"ID": str(record.id), "TYPE": record.kind.value, "TIMESTAMP": str(record.timestamp)}
    if key.lstrip("_") in internal:
        return internal[key.lstrip("_")]
    if key in REFERENCES and record.kind is Kind.NODE:
        return _referred(session, record, *REFERENCES[key])
    # Cli/Object.pm sorts the values of a key; here FS and KARGS keep the order that they mean something in.
    return ",".join(record.many(key) or _of_devices(record, key)) or UNDEF


def _referred(session: Session, record: Record, key: str, kind: Kind) -> str:
    found = session.store.referred(kind, record.one(key))
    return UNDEF if found is None else found.name


def _of_devices(record: Record, key: str) -> list[str]:
    # Node.pm has methods hwaddr_list, ipaddr_list and netdevs_list.
    key = key.removeprefix("NETDEVS.").lstrip("_").removesuffix("_LIST")
    if key == "NETDEVS":
        return [device.name for device in record.netdevs]
    name, dot, field = key.partition(".")
    devices = [one for one in record.netdevs if one.name.upper() == name] if dot else record.netdevs
    field = (field if dot else name).lower()
    return [one for device in devices for one in _device_values(device, field)]


def _device_values(device: NetDev, field: str) -> tuple[str, ...]:
    return device.values(field) if field in ("name", *NETDEV_FIELDS) else ()


def lines(record: Record, *, private: bool) -> Iterator[str]:
    """All keys of an object as `print -p :all` shows them; `private` adds those that begin with `_`."""
    # Cli/Object.pm (exec, sort_members): the number comes first, then the name, then all others by name.
    number = f"{record.id:>8}"
    if private:
        yield f"{number}: {'_ID':<10} = {record.id}"
    if record.many("NAME"):
        yield f"{number}: {'NAME':<10} = {record.one('NAME')}"
    if private:
        yield f"{number}: {'_TIMESTAMP':<10} = {record.timestamp}"
        yield f"{number}: {'_TYPE':<10} = {record.kind.value}"
    keys = {*record.values, *(("NETDEVS",) if record.netdevs else ())}
    for key in sorted(keys - {"NAME"}):
        if key == "NETDEVS":
            yield f"{number}: {key:<10} = ObjectSet"
            yield from _sub_objects(record)
        else:
            yield f"{number}: {key:<10} = {record.one(key)}"


def _sub_objects(record: Record) -> Iterator[str]:
    for device in record.netdevs:
        for field in ("name", *sorted(NETDEV_FIELDS)):
            text = ",".join(_device_values(device, field))
            if text:
                yield f"{'':<12}{f'NETDEVS.{device.name}.{field.upper()}':<25} = {text}"
