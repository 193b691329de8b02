"""First process of the container: becomes the user, starts JupyterLab, keeps all fresh, reaps, ends."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from lab.slurm_jupyter import keepers, token, visit
from lab.slurm_jupyter.cli import TOKEN, USER
from lab.slurm_jupyter.places import ENVIRONMENT, FOLDER, LIBRARY, Places
from lab.slurm_jupyter.settings import HUB_TOKEN, Settings, SettingsError, check_home, read
from lab.slurm_token import fetch
from lab.slurm_token.errors import TokenError

END_SECONDS = 3.5
READY_SECONDS = 60.0
EVERYWHERE = ("0.0.0.0", "::", "localhost")  # noqa: S104 - the user says so
HIDDEN = ("SLURM_JWT", "JUPYTER_TOKEN", "SLURM_USER", "SLURM_CONTROLLER", "SLURM_REFRESH")
"""Not for the user's programs: Slurm's commands would take some of them for their own."""


def say(line: str) -> None:
    """A line of the container's log."""
    sys.stderr.write(f"slurm-jupyter: {line}\n")
    sys.stderr.flush()


def main() -> int:
    """Runs until the page ends or SIGTERM; 2 if the container cannot start as asked."""
    places = Places()
    try:
        settings = read(os.environ, os.getuid(), os.getgid(), places)
        if os.getuid() == 0:
            _become(settings)
        check_home(settings.home)
        _prepare(settings, places, os.environ)
    except SettingsError as problem:
        sys.stderr.write(f"error: {problem.message}\nhint: {problem.hint}\n")
        return 2
    child = os.fork()  # this one only reaps; the other may wait for its own children in peace
    if child:
        return _reap(child)
    os._exit(Supervisor(settings, places, _environment(settings, places)).run())


def _reap(child: int) -> int:
    """Hands SIGTERM on, and takes in every orphan, until the child has ended."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda got, _frame: os.kill(child, got))
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == child:
            return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 1


def _become(settings: Settings) -> None:
    """From root to the user: an account of that name and number, its home, and no way back."""
    user = settings.user
    accounts = (
        (Path("/etc/group"), f"{user.name}:x:{user.gid}:\n", user.gid),
        (Path("/etc/passwd"), f"{user.name}:x:{user.uid}:{user.gid}::{settings.home}:/bin/bash\n", user.uid),
    )
    for path, line, at in accounts:
        known = [entry.split(":") for entry in path.read_text(encoding="utf-8").splitlines()]
        if not any(entry[2:3] == [str(at)] for entry in known):
            with path.open("a", encoding="utf-8") as file:
                file.write(line)
    if not settings.home.exists():
        settings.home.mkdir(mode=0o700)
        os.chown(settings.home, user.uid, user.gid)
    os.setgroups([])
    os.setgid(user.gid)
    os.setuid(user.uid)


def _prepare(settings: Settings, places: Places, environ: Mapping[str, str]) -> None:
    """Fills the container's own folder: the page's address and token, and a token that was handed over."""
    try:
        places.folder.mkdir(mode=0o700, exist_ok=True)
        for what in ("token", "configuration", "release"):
            places.trouble(what).unlink(missing_ok=True)
        page = settings.page
        host = "127.0.0.1" if page.listen in EVERYWHERE else page.listen
        places.address.write_text(f"{host}:{page.port}{page.prefix}", encoding="ascii")
        places.api_token.touch(mode=0o600)
        given = environ.get(HUB_TOKEN) or environ.get("JUPYTER_TOKEN")
        places.api_token.write_text(given or secrets.token_urlsafe(32), encoding="ascii")
        if environ.get("SLURM_JWT") and settings.token_file == places.token:
            fetch.write(places.token, environ["SLURM_JWT"])
        if settings.first_token and (first := token.read(settings.first_token, settings.user.name).text):
            fetch.write(places.token, first)
        if settings.munge_key is not None:
            keepers.copy_key(settings.munge_key, places.folder / "munge" / "munge.key")
    except (OSError, TokenError) as problem:
        told = f"{places.folder} cannot be filled: {problem}"
        raise SettingsError(told, "docker run --tmpfs /run/slurm … if the root is read-only") from None


def _environment(settings: Settings, places: Places) -> dict[str, str]:
    """What JupyterLab and all that is started from it see."""
    kept = {name: value for name, value in os.environ.items() if name not in HIDDEN}
    path = f"{LIBRARY}/bin:{ENVIRONMENT}/bin:/usr/local/bin:/usr/bin:/bin"
    name = settings.user.name
    file = {TOKEN: str(settings.token_file)} if settings.token_file else {}
    return {
        **kept, **file, "PATH": path, "HOME": str(settings.home), "USER": name, "LOGNAME": name,
        "SHELL": "/bin/bash", FOLDER: str(places.folder), USER: name,
        "JUPYTER_TOKEN_FILE": str(places.api_token), "JUPYTER_RUNTIME_DIR": str(places.folder / "runtime"),
    }  # fmt: skip


class Supervisor:
    """Everything that runs as the user, and its end."""

    def __init__(self, settings: Settings, places: Places, environ: dict[str, str]) -> None:
        self._settings, self._places, self._environ = settings, places, environ
        self._stop = threading.Event()
        self._began = time.monotonic()

    def run(self) -> int:
        """Starts all and waits for the page's end: 0 after SIGTERM, else the page's status."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop.set())
        if not self._port_is_free():
            return 2
        munged = self._start_munged()
        page = self._start_page()
        for keep in (self._tell_ready, self._keep_token, self._keep_configuration):
            threading.Thread(target=keep, daemon=True).start()
        while page.poll() is None and not self._stop.wait(0.2):
            pass
        ended = page.poll()
        self._stop.set()
        for process in (page, munged):
            if process is not None and process.poll() is None:
                process.terminate()
        try:
            page.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            page.kill()
        if ended is not None:
            say(f"error: the page ended with status {ended}; its own lines are above")
        return 0 if ended is None else ended or 1

    def _port_is_free(self) -> bool:
        listen, port = self._settings.page.listen, self._settings.page.port
        family = socket.AF_INET6 if ":" in listen else socket.AF_INET
        try:
            with socket.socket(family, socket.SOCK_STREAM) as one:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                one.bind((listen, port))
        except OSError as problem:
            sys.stderr.write(f"error: the page cannot have port {port} of {listen}: {problem.strerror}\n")
            sys.stderr.write("hint: docker run -e JUPYTER_PORT=NUMBER …\n")
            sys.stderr.flush()
            return False
        return True

    def _start_page(self) -> subprocess.Popen[bytes]:
        page = self._settings.page
        module = "jupyterhub.singleuser" if page.prefix else "jupyterlab"
        told = {"ip": page.listen, "port": page.port, "root_dir": self._settings.home}
        words = [f"--ServerApp.{name}={value}" for name, value in told.items()]
        command = [str(ENVIRONMENT / "bin" / "python3"), "-m", module, *words]
        return subprocess.Popen(command, env=self._environ, cwd=self._settings.home, stdin=subprocess.DEVNULL)

    def _start_munged(self) -> subprocess.Popen[bytes] | None:
        if self._settings.munge_key is None:
            return None
        folder = self._places.folder / "munge"
        files = {"key-file": "munge.key", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        words = [f"--{option}={folder / name}" for option, name in files.items()]
        command = ["/usr/sbin/munged", "--foreground", "--socket=/run/munge/munge.socket.2", *words]
        say("with a munge key: whoever can read it in here can be any user of the cluster")
        return subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def _keep_token(self) -> None:
        keepers.keep_token(self._settings, self._places, self._stop, say)

    def _keep_configuration(self) -> None:
        end = time.monotonic() + 3  # a first token, or munged, is on its way
        awaited = Path("/run/munge/munge.socket.2") if self._settings.munge_key else self._settings.token_file
        while awaited and not awaited.exists() and time.monotonic() < end:
            if self._stop.wait(0.05):
                return
        keepers.keep_configuration(self._settings, self._places, self._environ, self._stop, say)

    def _tell_ready(self) -> None:
        """Says when the page answers, and an address that works once."""
        while visit.health(self._places)[0]:
            if self._stop.wait(0.1) or time.monotonic() > self._began + READY_SECONDS:
                return
        say(f"ready after {time.monotonic() - self._began:.1f} s, as {self._settings.user.name}")
        page = self._settings.page
        if page.prefix:
            return
        if page.listen not in ("0.0.0.0", "::"):  # noqa: S104 - compared
            say(f"it listens on the container's {page.listen}; JUPYTER_LISTEN=0.0.0.0 publishes it")
        say(f"works once: {visit.new_address(self._places)}")


if __name__ == "__main__":
    raise SystemExit(main())
