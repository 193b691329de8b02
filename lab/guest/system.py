"""Access to the node: files under a root folder, commands, the clock and the user's number."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TypeVar

Result = TypeVar("Result")


@dataclass(frozen=True)
class Outcome:
    """Exit status and output of a command; the status is 127 if the program does not exist."""

    status: int
    out: bytes
    err: bytes


class System:
    """A node as its programs see it; tests pass a temporary root folder."""

    def __init__(self, root: str = "/", *, uid: int | None = None, clock: Callable[[], float] = time.time):
        self.root = os.path.abspath(root)
        self.uid = os.geteuid() if uid is None else uid
        self.clock = clock

    @property
    def is_root(self) -> bool:
        """Whether the program runs as root."""
        return self.uid == 0

    def path(self, path: str) -> str:
        """The real path of a path of the node."""
        absolute = os.path.abspath(path)
        return absolute if self.root == "/" else self.root + absolute

    def inside(self, real: str) -> str:
        """The node's path for a real path; the inverse of `path`."""
        if self.root == "/" or not real.startswith(self.root + "/"):
            return real
        return real[len(self.root) :]

    def exists(self, path: str) -> bool:
        """Whether the path exists; a dangling link does not."""
        return os.path.exists(self.path(path))

    def is_file(self, path: str) -> bool:
        """Whether the path is a regular file."""
        return os.path.isfile(self.path(path))

    def is_dir(self, path: str) -> bool:
        """Whether the path is a folder."""
        return os.path.isdir(self.path(path))

    def lstat(self, path: str) -> os.stat_result:
        """Attributes of the path; of the link itself if it is a link."""
        return os.lstat(self.path(path))

    def read(self, path: str) -> bytes:
        """The whole content of a file."""
        with open(self.path(path), "rb") as file:
            return file.read()

    def text(self, path: str, default: str | None = None) -> str:
        """A file as text. A missing file gives the default or, without one, FileNotFoundError."""
        try:
            return self.read(path).decode("utf-8", "surrogateescape")
        except FileNotFoundError:
            if default is None:
                raise
            return default

    def names(self, path: str) -> list[str]:
        """Sorted names in a folder; empty if the folder does not exist."""
        try:
            return sorted(os.listdir(self.path(path)))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def make_dir(self, path: str, mode: int = 0o755) -> None:
        """Makes a folder and its parents, independent of the umask; does not change an existing folder."""
        real = self.path(path)
        if os.path.isdir(real):
            return
        os.makedirs(real, exist_ok=True)
        os.chmod(real, mode)

    def remove(self, path: str) -> bool:
        """Removes a file; returns whether it existed."""
        try:
            os.unlink(self.path(path))
        except FileNotFoundError:
            return False
        return True

    def rename(self, path: str, other: str) -> None:
        """Gives a file or folder another path; replaces a file that is there."""
        os.replace(self.path(path), self.path(other))

    def remove_tree(self, path: str) -> None:
        """Removes a folder and its content if it exists."""
        import shutil

        shutil.rmtree(self.path(path), ignore_errors=True)

    def write(self, path: str, data: bytes, mode: int = 0o644) -> bool:
        """Replaces a file atomically unless it has this content and mode; returns whether it wrote."""
        real = self.path(path)
        try:
            with open(real, "rb") as file:
                same = file.read() == data
            if same and stat.S_IMODE(os.stat(real).st_mode) == mode:
                return False
        except OSError:
            self.make_dir(os.path.dirname(os.path.abspath(path)))
        with self.replacing(path, mode) as temporary, open(temporary, "wb") as file:
            file.write(data)
        return True

    @contextmanager
    def replacing(self, path: str, mode: int = 0o644) -> Iterator[str]:
        """Yields the path of a new file, which replaces the given file if no error occurs."""
        real = self.path(path)
        # Hidden and unique: a killed program leaves this file behind, never half a file under the real name.
        temporary = os.path.join(os.path.dirname(real), f".{os.path.basename(real)}.{os.getpid()}.new")
        # O_EXCL: never write through a link that another user put there.
        self.remove(self.inside(temporary))
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        try:
            yield temporary
            os.chmod(temporary, mode)
            self._rename(temporary, real)
        finally:
            if os.path.lexists(temporary):
                os.unlink(temporary)

    def _rename(self, temporary: str, real: str) -> None:
        try:
            os.rename(temporary, real)
        except OSError as error:
            # A mount point cannot be replaced, and container engines mount /etc/hosts: write its content.
            if error.errno not in (errno.EBUSY, errno.EXDEV):
                raise
            with open(temporary, "rb") as source, open(real, "wb") as target:
                while chunk := source.read(1 << 20):
                    target.write(chunk)

    def give_to_group(self, path: str, group: str) -> bool:
        """Gives a file to a group; False if the node has no such group or the change is not permitted."""
        import grp

        try:
            os.chown(self.path(path), -1, grp.getgrnam(group).gr_gid)
        except (KeyError, PermissionError):
            return False
        return True

    def run(
        self,
        command: Sequence[str],
        data: bytes = b"",
        *,
        timeout: float | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Outcome:
        """Runs a command until it ends and returns its status and output; `timeout` is in seconds."""
        import subprocess

        try:
            done = subprocess.run(
                list(command), input=data, capture_output=True, timeout=timeout, env=environment, check=False
            )
        except FileNotFoundError:
            return Outcome(127, b"", f"{command[0]}: not found".encode())
        except PermissionError:
            return Outcome(126, b"", f"{command[0]}: not executable".encode())
        except subprocess.TimeoutExpired:
            return Outcome(124, b"", f"{command[0]}: did not end within {timeout} s".encode())
        return Outcome(done.returncode, done.stdout, done.stderr)

    def follow(
        self,
        command: Sequence[str],
        line: Callable[[str], None],
        environment: Mapping[str, str],
        folder: str | None = None,
    ) -> Outcome:
        """Runs a command without input and hands over each line of its output and errors as it comes."""
        import subprocess

        kept = []
        try:
            with subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                cwd=folder,
            ) as process:
                assert process.stdout is not None  # noqa: S101 (for mypy)
                for raw in process.stdout:
                    kept.append(raw)
                    line(raw.decode(errors="replace").rstrip("\n"))
        except FileNotFoundError:
            return Outcome(127, b"", f"{command[0]}: not found".encode())
        return Outcome(process.returncode, b"".join(kept), b"")

    def interact(self, command: Sequence[str]) -> int:
        """Runs a command on the program's own terminal, e.g. an editor; returns its exit status."""
        import subprocess

        return subprocess.run(list(command), check=False).returncode

    def pour(self, command: Sequence[str], chunks: Iterable[bytes], target: str) -> Outcome:
        """Runs a filter over chunks that are generated while it reads; writes its output to a real path."""
        import subprocess

        with (
            open(target, "wb") as out,
            subprocess.Popen(
                list(command), stdin=subprocess.PIPE, stdout=out, stderr=subprocess.PIPE
            ) as process,
        ):
            assert process.stdin is not None and process.stderr is not None  # noqa: S101, PT018 (for mypy)
            try:
                with process.stdin as pipe:
                    for chunk in chunks:
                        pipe.write(chunk)
            except BrokenPipeError:
                pass  # its status and stderr tell the reason
            except BaseException:
                process.kill()
                raise
            complaint = process.stderr.read()
        return Outcome(process.returncode, b"", complaint)

    def reading(self, command: Sequence[str], use: Callable[[IO[bytes]], Result]) -> Result:
        """Runs a command, and hands its output over as it comes. OSError if there is no such program."""
        import subprocess

        with subprocess.Popen(
            list(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            assert process.stdout is not None  # noqa: S101 (for mypy)
            return use(process.stdout)

    def signal_from_file(self, pid_file: str, number: int) -> bool:
        """Sends a signal to the process whose number is in a file; False if there is no such process."""
        try:
            os.kill(int(self.read(pid_file)), number)
        except (OSError, ValueError):
            return False
        return True
