"""Which controllers to ask: from arguments, SLURM_CONF_SERVER, or DNS."""

from __future__ import annotations

from lab.slurm import failure
from lab.slurm.failure import SiphonError
from lab.slurm.record import dataclass

PORT = 6817
SRV_NAME = "_slurmctld._tcp"
MOST_PORTS = 256


@dataclass(frozen=True)
class Server:
    """One address to connect to."""

    host: str
    port: int = PORT

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_servers(texts: tuple[str, ...]) -> tuple[Server, ...]:
    """`host[:port]`, `[IPv6]:port`, `host:6817-6820`, `ctl[1-2]`, comma-separated or one by one, in order."""
    found: list[Server] = []
    for text in texts:
        for part in _split(text):
            found.extend(server for server in _parse(part) if server not in found)
    return tuple(found)


def _split(text: str) -> list[str]:
    """At the commas outside brackets."""
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
            raise _no_server(text, "an IPv6 address stands in brackets: [fe80::1]:6817")
        return [Server(host, port) for port in _ports(rest[1:], text)]
    if text.count(":") > 1:
        raise _no_server(text, f"an IPv6 address needs brackets: [{text}]")
    host, _, port = text.partition(":")
    hosts = _hosts(host, text)
    return [Server(name, number) for name in hosts for number in _ports(port, text)]


def _hosts(host: str, text: str) -> tuple[str, ...]:
    names: tuple[str, ...] = (host,)
    if "[" in host:
        from lab.slurm.hostlist import HostlistError, expand

        try:
            names = expand(host, limit=MOST_PORTS)
        except HostlistError as error:
            raise _no_server(text, str(error)) from None
    for name in names:
        if not name or name.startswith("-") or not all(c.isalnum() or c in "-._%" for c in name):
            raise _no_server(text, "a host name has letters, digits, dots and dashes")
    return names


def _ports(text: str, whole: str) -> range:
    if not text:
        return range(PORT, PORT + 1)
    first, dash, last = text.partition("-")
    last = last if dash else first
    if not (first.isascii() and first.isdigit() and last.isascii() and last.isdigit()):
        raise _no_server(whole, "a port is a number, or two with a dash between")
    if len(last) > 5 or not 0 < int(first) <= int(last) < 65536 or int(last) - int(first) >= MOST_PORTS:
        raise _no_server(whole, f"ports run from 1 to 65535, at most {MOST_PORTS} in a range")
    return range(int(first), int(last) + 1)


def _find_packages() -> None:
    """Lets siphon.pyz, which starts without `site`, find what is installed."""
    import sys

    if "site" not in sys.modules:
        import site

        site.main()


def _no_server(text: str, why: str) -> SiphonError:
    return SiphonError(
        failure.USAGE, f"{failure.printable(text)!r} names no controller", evidence=why, hint="siphon --help"
    )


def look_up(timeout: float) -> tuple[Server, ...]:
    """The controllers that DNS names: SRV records of _slurmctld._tcp, lowest priority value first."""
    try:
        # The optional extra `dns`: a resolver of our own would be one more thing to get wrong.
        _find_packages()
        import dns.exception
        import dns.resolver
    except ImportError:
        raise SiphonError(
            failure.USAGE,
            "no controller named",
            evidence=f"SLURM_CONF_SERVER is not set, and the DNS name {SRV_NAME} needs the package dnspython",
            hint=f"siphon HOST, with what this prints: dig +short SRV {SRV_NAME}.$(hostname -d)",
        ) from None
    try:
        answer = dns.resolver.resolve(SRV_NAME, "SRV", lifetime=timeout, search=True)
    except dns.exception.DNSException as error:
        raise SiphonError(
            failure.CONNECT,
            f"DNS names no controller under {SRV_NAME}",
            evidence=failure.printable(str(error)),
            hint="name one: siphon HOST, or set SLURM_CONF_SERVER",
        ) from None
    records = sorted((record.priority, -record.weight, str(record.target), record.port) for record in answer)
    return tuple(Server(target.rstrip("."), port) for _, _, target, port in records)
