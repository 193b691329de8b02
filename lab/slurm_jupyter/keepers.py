"""Keeps the token and Slurm's configuration fresh; trouble is told once, and in a file for the page."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from lab.slurm_jupyter import token
from lab.slurm_jupyter.places import CONFIGURATION, Places
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
    trouble, failures = Trouble("configuration", places, say), 0
    while True:
        told = _fetch(settings, environ)
        if told is None:
            failures += 1
        elif told:
            trouble.set(told)
            failures += 1
        else:
            trouble.clear()
            failures = 0
        if stop.wait(AGAIN[min(failures, len(AGAIN)) - 1] if failures else settings.refresh):
            return


def _fetch(settings: Settings, environ: Mapping[str, str]) -> str | None:
    """One run of siphon: why it failed, or ""; None without a good token, which is told elsewhere."""
    kept = dict(environ)
    how = ["--auth", "munge"]
    if settings.token_file is not None:
        found = token.read(settings.token_file, settings.user.name)
        if found.trouble:
            return None
        how, kept["SLURM_JWT"] = ["--auth", "jwt"], found.text
    command = [SIPHON, *how, "--quiet", "-o", str(CONFIGURATION), *settings.controllers]
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
        return f"no controller answered within {SIPHON_SECONDS} s"
    return _told(done.stderr.decode("utf-8", "replace")) if done.returncode else ""


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
