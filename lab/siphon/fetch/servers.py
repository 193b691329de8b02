"""The controllers to ask: host names with ports as text, or from DNS."""

from __future__ import annotations

from collections.abc import Sequence

from lab.siphon import errors
from lab.siphon.errors import SiphonError

PORT = 6817
SRV_NAME = "_slurmctld._tcp"
MOST_PORTS = 256


class Server:
    """A host and port to connect to."""

    __slots__ = ("host", "port")

    def __init__(self, host: str, port: int = PORT) -> None:
        self.host = host
        self.port = port

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_servers(texts: Sequence[str]) -> tuple[Server, ...]:
    """The servers that the texts name, in order and without repetition.

    Each text is a comma-separated list of `host[:port]`, `[IPv6]:port`, `host:6817-6820` or `ctl[1-2]`.
    Raises `SiphonError` for anything else.
    """
    found = [server for text in texts for part in _split(text) for server in _parse(part)]
    return tuple({str(server): server for server in found}.values())


def _split(text: str) -> list[str]:
    """Splits a list at the commas outside brackets."""
    parts, depth = [""], 0
    for char in text:
        depth += (char == "[") - (char == "]")
        if char == "," and not depth:
            parts.append("")
        else:
            parts[-1] += char
    return [part.strip() for part in parts]


def _parse(text: str) -> list[Server]:
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")) or ":" not in host:
            raise _no_server(text, "write an IPv6 address in brackets: [fe80::1]:6817")
        return [Server(host, port) for port in _ports(rest[1:], text)]
    if text.count(":") > 1:
        raise _no_server(text, f"write an IPv6 address in brackets: [{text}]")
    host, _, port = text.partition(":")
    hosts = _hosts(host, text)
    return [Server(name, number) for name in hosts for number in _ports(port, text)]


def _hosts(host: str, text: str) -> tuple[str, ...]:
    names: tuple[str, ...] = (host,)
    if "[" in host:
        from lab.siphon.fetch.hostlist import HostlistError, expand

        try:
            names = expand(host, limit=MOST_PORTS)
        except HostlistError as error:
            raise _no_server(text, str(error)) from None
    for name in names:
        if not name or name.startswith("-") or not all(c.isalnum() or c in "-._%" for c in name):
            raise _no_server(text, "a host name consists of letters, digits, dots and dashes")
    return names


def _ports(text: str, whole: str) -> range:
    if not text:
        return range(PORT, PORT + 1)
    first, dash, last = text.partition("-")
    last = last if dash else first
    if not (first.isascii() and first.isdigit() and last.isascii() and last.isdigit()):
        raise _no_server(whole, "a port is a number, or a range such as 6817-6820")
    if len(last) > 5 or not 0 < int(first) <= int(last) < 65536 or int(last) - int(first) >= MOST_PORTS:
        raise _no_server(whole, f"ports are from 1 to 65535, at most {MOST_PORTS} in a range")
    return range(int(first), int(last) + 1)


def _find_packages() -> None:
    """Makes installed packages importable in siphon.pyz, which starts without `site`."""
    import sys

    if "site" not in sys.modules:
        import site

        site.main()


def _no_server(text: str, why: str) -> SiphonError:
    return SiphonError(
        errors.USAGE,
        f"{errors.printable(text)!r} is not the name of a controller",
        evidence=why,
        hint="siphon --help",
    )


def look_up(timeout: float) -> tuple[Server, ...]:
    """The controllers in DNS: SRV records of _slurmctld._tcp, lowest priority value first.

    `timeout` is in seconds. Raises `SiphonError` if there are none or dnspython is not installed.
    """
    try:
        # The optional extra `dns`. The standard library cannot look up SRV records.
        _find_packages()
        import dns.exception
        import dns.resolver
    except ImportError:
        raise SiphonError(
            errors.USAGE,
            "no controller given",
            evidence=f"SLURM_CONF_SERVER is not set, and looking up {SRV_NAME} in DNS requires dnspython",
            hint=f"siphon HOST, with the host that this prints: dig +short SRV {SRV_NAME}.$(hostname -d)",
        ) from None
    try:
        answer = dns.resolver.resolve(SRV_NAME, "SRV", lifetime=timeout, search=True)
    except dns.exception.DNSException as error:
        raise SiphonError(
            errors.CONNECT,
            f"DNS has no controller under {SRV_NAME}",
            evidence=errors.printable(str(error)),
            hint="give one: siphon HOST, or set SLURM_CONF_SERVER",
        ) from None
    records = sorted((record.priority, -record.weight, str(record.target), record.port) for record in answer)
    return tuple(Server(target.rstrip("."), port) for _, _, target, port in records)
