"""Kills the writer at each of its steps and prints what is wrong afterwards; run by test_slurm_writer.py."""

from __future__ import annotations

import os
import signal
import sys

sys.path.insert(0, os.path.abspath(f"{os.path.dirname(__file__)}/../../../.."))

from lab.siphon.publish import exchange, writer
from lab.siphon.publish.names import Wanted
from lab.siphon.publish.settings import PublishOptions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

OPTIONS = PublishOptions(patience=0.2)
OLD = {"gone.conf": b"gone\n", "nodes.conf": b"same\n", "slurm.conf": b"old\n", "sub/p.sh": b"#!old\n"}
NEW = {"more.conf": b"more\n", "nodes.conf": b"same\n", "slurm.conf": b"new\n", "sub/q.sh": b"#!new\n"}
CHANGING = ("mkdir", "rename", "link", "symlink", "unlink", "rmdir", "write", "fchmod")


def write(place: str, files: dict[str, bytes]) -> None:
    wanted = tuple(
        Wanted(path, content, execute=path.endswith(".sh")) for path, content in sorted(files.items())
    )
    writer.write(place, wanted, OPTIONS)


def put(path: str, content: bytes) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)


def prepare(place: str, kind: str, start: str) -> None:
    if kind == "links":
        put(f"{place}/foreign/keep", b"keep")
    if start == "ours":
        write(place, OLD)
    elif start == "by-hand":
        for path, content in OLD.items():
            put(f"{place}/{path}", content)


def killed(action: Callable[[], None], step: int) -> bool:
    """Runs an action in a child that is killed after its nth change; whether the child was killed."""
    child = os.fork()
    if child:
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])
    counter = iter(range(1_000_000))

    def watch(real: Callable[..., object]) -> Callable[..., object]:
        def call(*values: object, **named: object) -> object:
            found = real(*values, **named)
            if next(counter) == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return found

        return call

    for name in CHANGING:
        setattr(os, name, watch(getattr(os, name)))
    exchange._exchange_names = watch(exchange._exchange_names)  # type: ignore[assignment]
    action()
    os._exit(0)


def seen(place: str) -> dict[str, bytes]:
    """What a reader finds: every name that opens, links followed."""
    found = {}
    for folder, folders, names in os.walk(place):
        folders[:] = [name for name in folders if not name.startswith(".siphon")]
        for name in names:
            path = f"{folder}/{name}"
            if not name.startswith(".siphon") and os.path.isfile(path):
                with open(path, "rb") as file:
                    found[os.path.relpath(path, place)] = file.read()
    return found


def leftovers(place: str) -> list[str]:
    """Names that a finished siphon leaves nowhere."""
    beside = [name for name in os.listdir(os.path.dirname(place)) if name != "conf"]
    hidden = os.listdir(f"{place}/.siphon") if os.path.exists(f"{place}/.siphon") else ["current", "1"]
    dangling = [
        f"{folder}/{name}"
        for folder, _, names in os.walk(place)
        for name in names
        if not os.path.exists(f"{folder}/{name}")
    ]
    return beside + sorted(hidden)[2:] + dangling + ([] if len(hidden) == 2 else ["no generation"])


def judge(place: str, old: dict[str, bytes], new: dict[str, bytes], step: int) -> str:
    """Which state a reader finds after a kill, and whether the next siphon puts everything right."""
    found = seen(place)
    which = "old" if found == old else "new" if found == new else "mix"
    if which == "mix":
        print(f"step {step}: a mix: {found}")
    write(place, NEW)
    if seen(place) != new:
        print(f"step {step}: after another run: {seen(place)}")
    if leftovers(place):
        print(f"step {step}: left behind: {leftovers(place)}")
    return which


def main(kind: str, start: str, base: str) -> None:
    keep = {"foreign/keep": b"keep"} if kind == "links" else {}
    old = keep if start == "missing" else {**keep, **OLD}
    # What was put there by hand is replaced where siphon brings it, and otherwise stays.
    new = {**keep, **OLD, **NEW} if start == "by-hand" else {**keep, **NEW}
    outcomes = set()
    for step in range(1000):
        place = f"{base}/{step}/conf"
        os.makedirs(os.path.dirname(place))
        prepare(place, kind, start)
        if not killed(lambda where=place: write(where, NEW), step):  # type: ignore[misc]
            break
        outcomes.add(judge(place, old, new, step))
    print(f"killed, found: {' '.join(sorted(outcomes))}")


if __name__ == "__main__":
    main(*sys.argv[1:])
