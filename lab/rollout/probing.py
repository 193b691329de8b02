"""Asks a node for its boot id, its /etc/image-release and its health, with one command that the site chooses.

What comes back was written by the node: it is bounded, and its text is shown and compared, never executed.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from lab.rollout.errors import USAGE, RolloutError, printable
from lab.rollout.planning.nodes import NAME, Probe
from lab.rollout.programs import Finished, run

SHELL = "/bin/sh -c"
LIMIT = 1 << 14
LINES = 64
LINE = 300
AT_ONCE = 16
BOOT_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def script(health: str, seconds: float) -> str:
    """The shell script that runs on a node: one line, so that every login shell takes it.

    Each line of its output begins with a word of its own, so no line of a file can pass for another one.
    """
    check = f"timeout {max(1, int(seconds))} /bin/sh -c {shlex.quote(health)}"
    return (
        'echo "boot $(cat /proc/sys/kernel/random/boot_id)"; '
        'sed "s/^/image /" /etc/image-release 2>/dev/null; '
        f"says=$({check} 2>&1 </dev/null); status=$?; "
        'echo "$says" | head -n 3 | cut -c 1-200 | sed "s/^/says /"; echo "health $status"'
    )


def command(template: str, node: str, text: str) -> list[str]:
    """The command for one node. {node} is its name; {script} is one word, {argv} three: /bin/sh -c TEXT."""
    if not NAME.fullmatch(node):
        raise RolloutError(USAGE, f"{printable(node)} is no name of a node")
    words: list[str] = []
    for word in shlex.split(template):
        if word == "{argv}":
            words += ["/bin/sh", "-c", text]
        else:
            words.append(word.replace("{node}", node).replace("{script}", f"{SHELL} {shlex.quote(text)}"))
    return words


def check_template(template: str) -> None:
    """Raises `RolloutError` for a template that cannot work."""
    try:
        words = shlex.split(template)
    except ValueError as error:
        raise RolloutError(USAGE, f"--probe is no command: {error}") from None
    if not any("{node}" in word for word in words):
        raise RolloutError(USAGE, "--probe has no {node}", hint="rollout start --help")
    if not any("{script}" in word or word == "{argv}" for word in words):
        raise RolloutError(USAGE, "--probe has neither {script} nor {argv}", hint="rollout start --help")


def parse(done: Finished) -> Probe:
    """What a node answered."""
    if done.problem:
        return Probe(error=done.problem)
    boot_id, health = "", None
    image: list[str] = []
    says: list[str] = []
    for line in done.out.decode("utf-8", "backslashreplace").splitlines()[: 2 * LINES]:
        word, _, rest = line[:LINE].partition(" ")
        if word == "boot" and not boot_id and BOOT_ID.fullmatch(rest):
            boot_id = rest
        elif word == "image":
            image.append(rest)
        elif word == "says":
            says.append(rest)
        elif word == "health" and rest.isascii() and rest.isdigit():
            health = int(rest)
    if not boot_id:
        return Probe(error=f"no boot id in its answer ({printable(done.evidence(), 160)})")
    if health is None:
        return Probe(error="its answer broke off")
    return Probe(boot_id, tuple(image[:LINES]), health, printable(" ".join(says).strip(), 200))


class Prober:
    """Probes nodes side by side."""

    def __init__(
        self,
        template: str,
        health: str,
        timeout: float,
        execute: Callable[..., Finished] = run,
    ) -> None:
        self._template = template
        self._script = script(health, timeout * 0.75)
        self._timeout = timeout
        self._execute = execute

    def probe(self, nodes: Iterable[str]) -> dict[str, Probe]:
        """What each node answered."""
        names = tuple(nodes)
        if not names:
            return {}
        with ThreadPoolExecutor(min(AT_ONCE, len(names))) as pool:
            return dict(zip(names, pool.map(self._one, names)))

    def _one(self, node: str) -> Probe:
        words = command(self._template, node, self._script)
        return parse(self._execute(words, self._timeout, limit=LIMIT))
