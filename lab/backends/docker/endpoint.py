"""Finds the engine as the command `docker` does, so that it and we never talk to two different ones.

Precedence, defaults and file names are those of Docker's CLI: cli/command/cli.go (resolveContextName,
getServerHost), opts/hosts.go (ParseHost), cli/flags/options.go (TLS) and cli/context/store (contexts).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.errors import LabError
from lab.paths import home_folder

SOCKET = "/var/run/docker.sock"
NO_SETTINGS = Path(__file__).parent / "settings"
"""A folder with a config.json of ours: the user's proxies, passwords and headers are for other containers.
In a node, a proxy keeps the boot agent from the SMS. Its keys to detach are such that nobody types; Docker's
own begin with Ctrl-P, which shells and editors want.
"""
_ENDS_WITHOUT_TLS = ("unix", "ssh", "fd")
_FROM_ENVIRONMENT = ("DOCKER_TLS_VERIFY", "DOCKER_TLS")
"""Variables that turn on TLS and that no option of the command can overrule."""
_CONTEXT_HINT = "docker context ls lists them; docker context use default, or: unset DOCKER_CONTEXT"


@dataclass(frozen=True)
class Tls:
    """Files of a TLS connection, "" where there is none, and whether the engine's certificate is verified."""

    verify: bool
    ca: str = ""
    cert: str = ""
    key: str = ""


@dataclass(frozen=True)
class Endpoint:
    """An engine's address, what named it ("" by default), and its TLS settings."""

    host: str
    origin: str = ""
    tls: Tls | None = None

    @property
    def socket(self) -> str | None:
        """Path of the engine's socket on this machine, if it has one."""
        return self.host.removeprefix("unix://") if self.host.startswith("unix://") else None

    @property
    def shown(self) -> str:
        """The address and what named it, for messages."""
        return f"{self.host} ({self.origin})" if self.origin else self.host

    def command(self, environ: Mapping[str, str]) -> list[str]:
        """The words with which `docker` talks to this engine, whatever the user's settings are."""
        unset = [word for name in _FROM_ENVIRONMENT if environ.get(name) for word in ("-u", name)]
        words = ["env", *unset] if unset else []
        return [*words, "docker", "--config", str(NO_SETTINGS), "--host", self.host, *self._tls_options()]

    def _tls_options(self) -> list[str]:
        if self.tls is None:
            return []
        files = {"--tlscacert": self.tls.ca, "--tlscert": self.tls.cert, "--tlskey": self.tls.key}
        found = [word for option, path in files.items() if path for word in (option, path)]
        return ["--tlsverify" if self.tls.verify else "--tls", *found]


def resolve(environ: Mapping[str, str]) -> Endpoint:
    """Finds the engine; raises LabError if the user names one that cannot be found."""
    folder = Path(environ.get("DOCKER_CONFIG") or home_folder(environ) / ".docker")
    host = environ.get("DOCKER_HOST", "")
    if not host:
        name, origin = environ.get("DOCKER_CONTEXT", ""), "DOCKER_CONTEXT"
        if not name:
            name, origin = _current_context(folder), str(folder / "config.json")
        if name and name != "default":
            return _of_context(folder, name, origin)
    tls = _tls_of(environ, folder)
    address = _address(host, secure=tls is not None, origin="DOCKER_HOST")
    return Endpoint(address, "DOCKER_HOST" if host else "", None if _has_no_tls(address) else tls)


def _current_context(folder: Path) -> str:
    """The context that `docker context use` has chosen; none if the file cannot be read, as for `docker`."""
    try:
        found = json.loads((folder / "config.json").read_bytes())
    except (OSError, ValueError):
        return ""
    name = found.get("currentContext", "") if isinstance(found, dict) else ""
    return name if isinstance(name, str) else ""


def _of_context(folder: Path, name: str, origin: str) -> Endpoint:
    key = hashlib.sha256(name.encode()).hexdigest()
    file = folder / "contexts" / "meta" / key / "meta.json"
    try:
        found: dict[str, Any] = json.loads(file.read_bytes())["Endpoints"]["docker"]
        host, skip = str(found.get("Host", "")), bool(found.get("SkipTLSVerify"))
    except FileNotFoundError:
        raise LabError(
            f"Docker's context {name} does not exist", evidence=f"{origin} names it", hint=_CONTEXT_HINT
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as problem:
        raise LabError(
            f"cannot read Docker's context {name}", evidence=f"{file}: {problem}", hint=_CONTEXT_HINT
        ) from problem
    address = _address(host, secure=False, origin=f"context {name}")
    files = folder / "contexts" / "tls" / key / "docker"
    tls = _files(Tls(not skip), files) if skip or files.is_dir() else None
    return Endpoint(address, f"context {name}", None if _has_no_tls(address) else tls)


def _tls_of(environ: Mapping[str, str], folder: Path) -> Tls | None:
    verify = bool(environ.get("DOCKER_TLS_VERIFY"))
    if not (verify or environ.get("DOCKER_TLS")):
        return None
    return _files(Tls(verify), Path(environ.get("DOCKER_CERT_PATH") or folder))


def _files(tls: Tls, folder: Path) -> Tls:
    found = {name: str(folder / f"{name}.pem") for name in ("ca", "cert", "key")}
    there = {name: path for name, path in found.items() if Path(path).exists()}
    return Tls(tls.verify, there.get("ca", ""), there.get("cert", ""), there.get("key", ""))


def _address(text: str, *, secure: bool, origin: str) -> str:
    """Completes an address as the CLI does: a host is TCP, and a port is 2375 unless it is given."""
    text = text.strip()
    if not text:
        return "tcp://localhost:2376" if secure else f"unix://{SOCKET}"
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "tcp", text
    if scheme == "unix":
        return f"unix://{rest or SOCKET}"
    if scheme == "tcp":
        return f"tcp://{_with_port(rest)}"
    if scheme in _ENDS_WITHOUT_TLS:
        return text
    raise LabError(
        f"{origin} names no engine: {text}",
        evidence="docker knows unix://PATH, tcp://HOST:PORT and ssh://USER@HOST",
        hint="docker context ls; or: unset DOCKER_HOST",
    )


def _with_port(rest: str) -> str:
    address, slash, path = rest.partition("/")
    host, colon, port = address.rpartition(":")
    if not colon or "]" in port:  # an IPv6 address has colons of its own
        host, port = address, ""
    return f"{host or 'localhost'}:{port or '2375'}{slash}{path}"


def _has_no_tls(address: str) -> bool:
    return address.startswith(tuple(f"{scheme}://" for scheme in _ENDS_WITHOUT_TLS))
