"""What the container was told: its environment, judged before anything starts."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from lab.slurm_jupyter.places import Places

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}\Z")
CONTROLLERS = re.compile(r"[A-Za-z0-9\[][A-Za-z0-9.:\[\]-]*(,[A-Za-z0-9\[][A-Za-z0-9.:\[\]-]*)*\Z")
PREFIX = re.compile(r"(/[!-.0-~]+)+\Z")
REFRESH = 300
PORT = 8888
SHORTEST_TOKEN = 16
HUB_TOKEN = "JUPYTERHUB_API_TOKEN"  # noqa: S105 - the name of a variable
HUB_ADDRESS = "JUPYTERHUB_SERVICE_URL"
HUB_PREFIX = "JUPYTERHUB_SERVICE_PREFIX"
"""What a Hub tells its users' servers (jupyterhub/spawner.py: get_env)."""


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
class Settings:
    """A container that can start."""

    user: User
    home: Path
    controllers: tuple[str, ...]
    token_file: Path | None  # None: with a munge key
    first_token: Path | None  # what somebody has put there until slurm-token is asked
    token_url: str  # of slurm-token, or ""
    token_bearer: Path | None
    token_ca: Path | None
    munge_key: Path | None
    refresh: float
    page: Page


@dataclass(frozen=True)
class Page:
    """Where the page answers; a Hub's server has a prefix."""

    listen: str
    port: int
    prefix: str = ""  # "/user/alice"


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
    if key and (url or file):
        raise SettingsError("MUNGE_KEY_FILE excludes SLURM_TOKEN_URL and SLURM_JWT_FILE", "keep one")
    if environ.get("JUPYTER_TOKEN") and len(environ["JUPYTER_TOKEN"]) < SHORTEST_TOKEN:
        hint = "leave it out: one is made, and the log has an address that works once"
        raise SettingsError(f"JUPYTER_TOKEN has less than {SHORTEST_TOKEN} characters", hint)
    return Settings(
        user=user,
        home=Path(environ["HOME"]) if uid and environ.get("HOME", "/") != "/" else Path("/home") / user.name,
        controllers=tuple(found.split(",")),
        token_file=None if key else Path(file) if file and not url else places.token,
        first_token=Path(file) if file and url else None,
        token_url=url,
        token_bearer=_path(environ, "SLURM_TOKEN_BEARER") or (places.api_token if hub(environ) else None),
        token_ca=_path(environ, "SLURM_TOKEN_CA"),
        munge_key=_path(environ, "MUNGE_KEY_FILE"),
        refresh=_number(environ, "SLURM_REFRESH", REFRESH, 1, 86400),
        page=_page(environ),
    )


def hub(environ: Mapping[str, str]) -> bool:
    """Whether a Hub has started this container, and signs its user in."""
    return bool(environ.get(HUB_TOKEN))


def _page(environ: Mapping[str, str]) -> Page:
    if not hub(environ):
        port = int(_number(environ, "JUPYTER_PORT", PORT, 1, 65535))
        return Page(environ.get("JUPYTER_LISTEN", "127.0.0.1"), port)
    address, prefix = environ.get(HUB_ADDRESS, ""), environ.get(HUB_PREFIX, "/").rstrip("/")
    try:
        parts = urlsplit(address)
        port = parts.port or 80
    except ValueError:
        parts, port = urlsplit(""), 0
    if parts.scheme != "http" or not port or not PREFIX.match(prefix):
        told = f"no server can be at {address[:80]!r}, as {HUB_ADDRESS} and {HUB_PREFIX} say"
        raise SettingsError(told, "the Hub sets it; JupyterHub.internal_ssl does not work with this image")
    return Page(parts.hostname or "0.0.0.0", port, prefix)  # noqa: S104 - as the Hub says


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
