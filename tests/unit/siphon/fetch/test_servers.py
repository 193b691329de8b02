"""Names of controllers, given or from DNS."""

from __future__ import annotations

import sys
import types

import pytest

from lab.siphon import errors
from lab.siphon.errors import SiphonError
from lab.siphon.fetch import servers
from lab.siphon.fetch.servers import Server
from tests.unit.siphon.records import values


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ctl", [("ctl", 6817)]),
        ("ctl:7000", [("ctl", 7000)]),
        ("ctl:6817-6819", [("ctl", 6817), ("ctl", 6818), ("ctl", 6819)]),
        ("a,b:1", [("a", 6817), ("b", 1)]),
        ("ctl[1-2]:9", [("ctl1", 9), ("ctl2", 9)]),
        ("[::1]", [("::1", 6817)]),
        ("[fe80::1%eth0]:7", [("fe80::1%eth0", 7)]),
        ("127.0.0.1,127.0.0.1:6817", [("127.0.0.1", 6817)]),
    ],
)
def test_servers_are_named_as_slurm_names_them(text: str, found: list[tuple[str, int]]) -> None:
    assert [(one.host, one.port) for one in servers.parse_servers((text,))] == found


@pytest.mark.parametrize(
    "text",
    ["", ",", ":6817", "ctl:", "::1", "[::1", "[::1]x", "[ctl]", "ctl:0", "ctl:65536", "ctl:9-1", "ctl:a",
     "ctl:1-65535", "-o", "a b", "a/b", "ctl[1-", "ctl:²", "ctl[1-999]"],
)  # fmt: skip
def test_what_names_no_server_is_refused(text: str) -> None:
    if text == "ctl:":
        assert values(servers.parse_servers((text,))) == values((Server("ctl"),))
        return
    with pytest.raises(SiphonError) as caught:
        servers.parse_servers((text,))
    assert caught.value.kind is errors.USAGE


class Record:
    """An SRV record as dnspython gives it."""

    def __init__(self, priority: int, weight: int, target: str) -> None:
        self.priority, self.weight, self.target, self.port = priority, weight, target, 6817


def fake_dns(monkeypatch: pytest.MonkeyPatch, resolve: object) -> None:
    package, exception, resolver = (
        types.ModuleType(name) for name in ("dns", "dns.exception", "dns.resolver")
    )
    exception.DNSException = KeyError  # type: ignore[attr-defined]
    resolver.resolve = resolve  # type: ignore[attr-defined]
    package.exception, package.resolver = exception, resolver  # type: ignore[attr-defined]
    for module in (package, exception, resolver):
        monkeypatch.setitem(sys.modules, module.__name__, module)


def test_dns_names_controllers_by_priority(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(name: str, kind: str, **_: object) -> list[Record]:
        assert (name, kind) == ("_slurmctld._tcp", "SRV")
        return [Record(10, 0, "b.example."), Record(0, 1, "c.example."), Record(0, 9, "a.example.")]

    fake_dns(monkeypatch, resolve)
    found = servers.look_up(1.0)
    assert [str(one) for one in found] == ["a.example:6817", "c.example:6817", "b.example:6817"]


def test_a_name_that_dns_does_not_know_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(*_: object, **__: object) -> None:
        raise KeyError("NXDOMAIN")

    fake_dns(monkeypatch, resolve)
    with pytest.raises(SiphonError, match=r"_slurmctld\._tcp") as caught:
        servers.look_up(1.0)
    assert caught.value.kind is errors.CONNECT
