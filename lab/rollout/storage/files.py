"""The files of the state directory. State is replaced as a whole: a kill leaves the old or the new one."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

from lab.rollout.errors import LOCKED, STATE, RolloutError
from lab.rollout.planning.memory import Memory, Mode
from lab.rollout.settings import Settings
from lab.rollout.storage.encoding import EncodingError, decode, encode

LARGEST = 1 << 26


class StateDirectory:
    """Where one cluster's rollout is kept."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self._state = self.path / "state.json"
        self._mode = self.path / "mode"
        self._lock = self.path / "lock"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the directory, so that no second rollout runs. The kernel lets go when the process ends."""
        with self._explained():
            self.path.mkdir(mode=0o755, parents=True, exist_ok=True)
            handle = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise RolloutError(
                    LOCKED,
                    "another rollout runs",
                    evidence=f"process {self._holder()} holds {self._lock}",
                    hint="rollout status; rollout pause",
                ) from None
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
            yield
        finally:
            os.close(handle)

    def running(self) -> int:
        """The process that runs the rollout; 0 if none does. Does not get in the way of one that starts."""
        pid = self._holder()
        if not pid:
            return 0
        with contextlib.suppress(OSError), self._lock.open("rb") as file:
            node = os.fstat(file.fileno()).st_ino
            locks = Path("/proc/locks").read_text(encoding="ascii", errors="replace").splitlines()
            held = any(
                f":{node} " in line and " FLOCK " in f" {line} " and f" {pid} " in line for line in locks
            )
            return pid if held else 0
        return 0

    def _holder(self) -> int:
        try:
            text = self._lock.read_text(encoding="ascii", errors="replace").strip()
        except OSError:
            return 0
        return int(text) if text.isdigit() else 0

    def load(self) -> tuple[Settings, Memory] | None:
        """The last state, or None. Raises `RolloutError` if it cannot be read."""
        try:
            with self._state.open("rb") as file:
                text = file.read(LARGEST)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unusable(error.strerror or str(error)) from None
        try:
            return decode(json.loads(text))
        except (EncodingError, RecursionError, ValueError) as error:
            raise self._unusable(f"{self._state}: {error}") from None

    def save(self, settings: Settings, memory: Memory) -> None:
        """Replaces the state; when it returns, the state is on the disk."""
        self._write(self._state, json.dumps(encode(settings, memory), indent=1))

    def read_mode(self) -> Mode:
        """The operator's last word: run, pause or abort."""
        try:
            return Mode(self._mode.read_text(encoding="ascii", errors="replace").strip())
        except (OSError, ValueError):
            return Mode.RUN

    def write_mode(self, mode: Mode) -> None:
        """Keeps the operator's word, for the process that runs or for the next one."""
        self._write(self._mode, f"{mode.value}\n")

    def archive(self, token: str) -> None:
        """Keeps the state of a rollout that has ended under its own name."""
        with self._explained():
            self._state.replace(self.path / f"ended-{token.partition(':')[2]}.json")

    def _write(self, path: Path, text: str) -> None:
        new = path.with_name(f"{path.name}.new")
        with self._explained():
            with new.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
            folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._unusable(f"{error.filename or self.path}: {error.strerror}") from None

    def _unusable(self, why: str) -> RolloutError:
        return RolloutError(
            STATE,
            f"the state directory {self.path} cannot be used",
            evidence=why,
            hint="run it as root, or choose another directory: --state DIR",
        )
