"""Keeps the token and Slurm's configuration fresh; trouble is told once, and in a file for the page."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lab.slurm_jupyter import token
from lab.slurm_jupyter.places import CONFIGURATION, RELEASES, Places
from lab.slurm_jupyter.sentences import clean
from lab.slurm_jupyter.settings import Settings
from lab.slurm_token import fetch
from lab.slurm_token.errors import TokenError

SIPHON = "/usr/bin/siphon"
SIPHON_SECONDS = 30
AGAIN = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds until the next attempt after failures in a row."""
LEAST = 5
"""Seconds between two tokens, also if Slurm refuses each."""
Say = Callable[[str], None]


class Trouble:
    """One thing that can go wrong: a new cause is logged, and the file says the present one."""

    def __init__(self, what: str, places: Places, say: Say) -> None:
        self._what, self._path, self._say = what, places.trouble(what), say
        self._told = ""

    def set(self, sentence: str) -> None:
        """There is trouble."""
        if sentence != self._told:
            self._say(f"error: {sentence}")
        self._told = sentence
        new = self._path.with_suffix(".new")
        with suppress(OSError):
            new.write_text(sentence, encoding="utf-8")
            new.replace(self._path)

    def clear(self) -> None:
        """All is well."""
        if self._told:
            self._say(f"{self._what}: all is well again")
        self._told = ""
        self._path.unlink(missing_ok=True)


def keep_token(settings: Settings, places: Places, stop: threading.Event, say: Say) -> None:
    """Gets tokens of slurm-token until `stop`; without it, only tells when the token has ended."""
    trouble = Trouble("token", places, say)
    if settings.token_url:
        place = fetch.Place(settings.token_url, settings.token_bearer, settings.token_ca)
        failures = 0
        while True:
            try:
                got = place.ask()
                fetch.write(places.token, got.token)
                trouble.clear()
                failures, pause = 0, max(1.0, (got.expires - fetch.now()) / 2)
            except TokenError as problem:
                trouble.set(problem.message)
                failures += 1
                pause = AGAIN[min(failures, len(AGAIN)) - 1]
            if _wait(stop, pause, places.refused):
                return
    while settings.token_file is not None:
        found = token.read(settings.token_file, settings.user.name)
        if found.trouble:
            trouble.set(found.trouble)
        else:
            trouble.clear()
        if stop.wait(5.0):
            return


def _wait(stop: threading.Event, seconds: float, refused: Path) -> bool:
    """Waits so long, or until Slurm has refused the token (never less than `LEAST`); whether to stop."""
    for second in range(int(seconds) + 1):
        if stop.wait(min(1.0, seconds - second)):
            return True
        if second >= LEAST and refused.exists():
            break
    refused.unlink(missing_ok=True)
    return False


def keep_configuration(
    settings: Settings, places: Places, environ: Mapping[str, str], stop: threading.Event, say: Say
) -> None:
    """Fetches Slurm's configuration at intervals until `stop`, sooner after a failure."""
    trouble, other, failures = Trouble("configuration", places, say), Trouble("release", places, say), 0
    while True:
        failures += 1
        fetched = _fetch(settings, environ)
        if fetched is None:
            pass  # there is no good token, which is told elsewhere
        elif fetched.trouble:
            trouble.set(fetched.trouble)
        else:
            failures = 0
            trouble.clear()
            if told := too_old(fetched.release, environ.get("SLURM_RELEASE", "")):
                other.set(told)
            else:
                other.clear()
        if stop.wait(AGAIN[min(failures, len(AGAIN)) - 1] if failures else settings.refresh):
            return


@dataclass(frozen=True)
class Fetched:
    """What a run of siphon gave: the newest release that the controller speaks, or why it failed."""

    release: str = ""
    trouble: str = ""


def too_old(controller: str, image: str) -> str:
    """A sentence if the controller does not serve the image's commands: it must not be older than they."""
    own = RELEASES.get(image, "")
    if not own or not controller or _number(controller) >= _number(own):
        return ""
    fitting = [name for name, release in RELEASES.items() if release == controller]
    hint = f": take slurm-jupyter-{fitting[0]}" if fitting else ""
    return f"the controller is of another Slurm release: {controller}, and this image of {own}{hint}"


def _number(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in release.split(".") if part.isdigit())


def _fetch(settings: Settings, environ: Mapping[str, str]) -> Fetched | None:
    """One run of siphon; None without a good token."""
    kept = dict(environ)
    how = ["--auth", "munge"]
    if settings.token_file is not None:
        found = token.read(settings.token_file, settings.user.name)
        if found.trouble:
            return None
        how, kept["SLURM_JWT"] = ["--auth", "jwt"], found.text
    command = [SIPHON, *how, "--quiet", "--json", "-o", str(CONFIGURATION), *settings.controllers]
    try:
        done = subprocess.run(
            command,
            env=kept,
            capture_output=True,
            timeout=SIPHON_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return Fetched(trouble=f"no controller answered within {SIPHON_SECONDS} s")
    if done.returncode:
        return Fetched(trouble=_told(done.stderr.decode("utf-8", "replace")))
    try:
        return Fetched(str(json.loads(done.stdout)["protocol"]["release"]))
    except (ValueError, KeyError, TypeError):
        return Fetched()


def _told(text: str) -> str:
    """Siphon's error and its evidence in one line; a token that Slurm refused is to be renewed."""
    lines = [
        clean(line.strip()) for line in text.splitlines() if line.strip() and not line.startswith("hint:")
    ]
    told = ": ".join(lines[:2]).removeprefix("error: ")[:400] or "siphon failed without a word"
    refused = "token" in told and ("refused" in told or "expired" in told or "rejected" in told)
    return f"{told}: {token.RENEW}" if refused and token.RENEW not in told else told


def copy_key(source: Path, target: Path) -> None:
    """Copies a mounted munge key, link or not, to a file that munged accepts. Raises OSError."""
    data = source.read_bytes()
    target.parent.mkdir(mode=0o700, exist_ok=True)
    target.unlink(missing_ok=True)
    fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
