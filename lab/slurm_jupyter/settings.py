"""What the container was told: its environment, judged before anything starts."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from lab.slurm_jupyter.places import Places

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}\Z")
CONTROLLERS = re.compile(r"[A-Za-z0-9\[][A-Za-z0-9.:\[\]-]*(,[A-Za-z0-9\[][A-Za-z0-9.:\[\]-]*)*\Z")
REFRESH = 300
PORT = 8888
SHORTEST_TOKEN = 16


class SettingsError(Exception):
    """The container cannot start as it was asked to: one sentence, and what to type."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True)
class User:
    """The notebook's user, as the cluster knows it."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True)
class Hub:
    """The JupyterHub that started the container and signs in for it; `repr` leaves out the server's token."""

    token: str = field(repr=False)
    host: str  # where the page listens, "" for every address
    port: int
    prefix: str  # of every path of the page: /user/NAME/


@dataclass(frozen=True)
class Settings:
    """A container that can start."""

    user: User
    home: Path
    controllers: tuple[str, ...]
    token_file: Path | None  # None: with a munge key
    token_url: str  # of slurm-token, or ""
    token_bearer: Path | None
    token_ca: Path | None
    munge_key: Path | None
    refresh: float
    listen: str
    port: int
    hub: Hub | None


def read(environ: Mapping[str, str], uid: int, gid: int, places: Places) -> Settings:
    """The settings of this environment for a process of that account. Raises `SettingsError`."""
    user = _user(environ, uid, gid)
    found = environ.get("SLURM_CONTROLLER", "")
    if not CONTROLLERS.match(found):
        told = "SLURM_CONTROLLER is no list of hosts" if found else "no controller in SLURM_CONTROLLER"
        raise SettingsError(told, "docker run -e SLURM_CONTROLLER=HOST[:PORT] …")
    url, file, key = (
        environ.get(name, "") for name in ("SLURM_TOKEN_URL", "SLURM_JWT_FILE", "MUNGE_KEY_FILE")
    )
    if not (url or file or key or environ.get("SLURM_JWT")):
        raise SettingsError(
            "no token: none of SLURM_TOKEN_URL, SLURM_JWT_FILE and SLURM_JWT is set",
            "on the controller: scontrol token username=NAME; then: docker run -e SLURM_JWT …",
        )
    if len([one for one in (url, file, key) if one]) > 1:
        raise SettingsError(
            "SLURM_TOKEN_URL, SLURM_JWT_FILE and MUNGE_KEY_FILE exclude each other", "keep one"
        )
    hub = _hub(environ)
    if environ.get("JUPYTER_TOKEN") and len(environ["JUPYTER_TOKEN"]) < SHORTEST_TOKEN:
        hint = "leave it out: one is made, and the log has an address that works once"
        raise SettingsError(f"JUPYTER_TOKEN has less than {SHORTEST_TOKEN} characters", hint)
    return Settings(
        user=user,
        home=Path(environ["HOME"]) if uid and environ.get("HOME", "/") != "/" else Path("/home") / user.name,
        controllers=tuple(found.split(",")),
        token_file=None if key else Path(file) if file else places.token,
        token_url=url,
        token_bearer=_path(environ, "SLURM_TOKEN_BEARER") or (places.hub_token if hub else None),
        token_ca=_path(environ, "SLURM_TOKEN_CA"),
        munge_key=_path(environ, "MUNGE_KEY_FILE"),
        refresh=_number(environ, "SLURM_REFRESH", REFRESH, 1, 86400),
        listen=hub.host if hub else environ.get("JUPYTER_LISTEN", "127.0.0.1"),
        port=hub.port if hub else int(_number(environ, "JUPYTER_PORT", PORT, 1, 65535)),
        hub=hub,
    )


def _hub(environ: Mapping[str, str]) -> Hub | None:
    """What a Hub's spawner tells each server (JupyterHub's documentation of spawners)."""
    token = environ.get("JUPYTERHUB_API_TOKEN", "")
    if not token:
        return None
    try:
        found = urlsplit(environ.get("JUPYTERHUB_SERVICE_URL", ""))
        host, port = found.hostname or "", found.port
    except ValueError:
        port = None
    prefix = environ.get("JUPYTERHUB_SERVICE_PREFIX", "")
    if not port or not prefix.startswith("/"):
        told = "JUPYTERHUB_SERVICE_URL and JUPYTERHUB_SERVICE_PREFIX do not say where the Hub awaits the page"
        raise SettingsError(
            told, "they and JUPYTERHUB_API_TOKEN are a spawner's; without a Hub, set none of them"
        )
    return Hub(token, host, port, prefix)


def _user(environ: Mapping[str, str], uid: int, gid: int) -> User:
    name, *numbers = environ.get("SLURM_USER", "").split(":")
    hint = "docker run -e SLURM_USER=NAME:UID:GID …"
    if not NAME.match(name):
        raise SettingsError("SLURM_USER does not name the user that the cluster knows", hint)
    if numbers and (len(numbers) != 2 or not all(re.fullmatch("[0-9]{1,9}", one) for one in numbers)):
        raise SettingsError("SLURM_USER has no two numbers after the name", hint)
    wanted = User(name, *map(int, numbers)) if numbers else User(name, uid, gid)
    if wanted.uid == 0 or wanted.gid == 0:
        raise SettingsError("a notebook never runs as root", hint)
    if uid not in (0, wanted.uid):
        told = f"the container runs as {uid}, and SLURM_USER says {wanted.uid}"
        raise SettingsError(told, f"docker run --user {wanted.uid}:{wanted.gid} …")
    return wanted


def _path(environ: Mapping[str, str], name: str) -> Path | None:
    return Path(environ[name]) if environ.get(name) else None


def _number(environ: Mapping[str, str], name: str, default: int, least: int, most: int) -> float:
    text = environ.get(name) or str(default)
    if not re.fullmatch("[0-9]{1,6}", text) or not least <= int(text) <= most:
        raise SettingsError(f"{name} is no number from {least} to {most}: {text[:40]!r}", f"{name}={default}")
    return float(text)


def check_home(home: Path) -> None:
    """Raises `SettingsError` if the user's folder does not take files."""
    probe = home / f".slurm-jupyter-{os.getpid()}"
    try:
        probe.touch()
        probe.unlink()
    except OSError as problem:
        raise SettingsError(
            f"the home folder {home} cannot be written: {problem.strerror}",
            f"a volume that belongs to the user, or: docker run --tmpfs {home}:uid=UID …",
        ) from None
