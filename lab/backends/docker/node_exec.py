"""Commands run in a lab's containers: in nodes, and outside them for cables, power buttons, boot stages."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lab.backends.boot_stage import boot_stage
from lab.backends.docker.engine import container_name, translate_errors
from lab.backends.hang_up import MARK
from lab.errors import LabError
from lab.model import NodeStatus, Power

if TYPE_CHECKING:
    from lab.backends.docker.engine import Engine


def shell(
    client: Sequence[str],
    lab: str,
    node: str,
    command: Sequence[str] | None,
    *,
    user: str,
    tty: bool,
    mark: str,
) -> list[str]:
    """The argument list of a host process that opens a shell or runs a command in a node.

    `client` is the `docker` command with the options that lead to the engine.
    """
    flags = ["-it", "-e", "TERM"] if tty else ["-i"]
    flags += ["-e", f"{MARK}={mark}"] if mark else []
    words = as_utf8(command) if command else ()
    return [*client, "exec", *flags, container_name(lab, node), "/chassis/enter", user, *words]


def as_utf8(command: Sequence[str]) -> Sequence[str]:
    """The same command in UTF-8: Docker's client sends JSON, which makes U+FFFD of all other bytes."""
    raw = [os.fsencode(word) for word in command]
    if all(_is_utf8(word) for word in raw):
        return command
    # A full stop at the end, since a command's substitution loses line ends there.
    octal = ("".join(f"\\0{byte:03o}" for byte in word) for word in raw)
    quoted = " ".join(f"\"$(printf %b '{word}.')\"" for word in octal)
    script = f'set -- {quoted}; for word; do shift; set -- "$@" "${{word%.}}"; done; exec "$@"'
    return ("/bin/sh", "-c", script)


def _is_utf8(word: bytes) -> bool:
    try:
        word.decode()
    except UnicodeDecodeError:
        return False
    return True


def execute(client: Engine, container: str, command: Sequence[str]) -> str:
    """Runs a command in a container and returns its output; LabError with the output when it fails."""
    return output(client, container, command).decode(errors="replace")


def output(client: Engine, container: str, command: Sequence[str]) -> bytes:
    """As `execute`, but returns the standard output as bytes."""
    with translate_errors(f"running {command[0]} in {container}"):
        handle = client.exec_create(container, list(command))["Id"]
        out, err = client.exec_start(handle, demux=True)
        status = client.exec_inspect(handle)["ExitCode"]
    if status != 0:
        raise LabError(
            f"{' '.join(command[:2])} failed in {container} with status {status}",
            evidence=((err or b"") + (out or b"")).decode(errors="replace").strip()[-800:],
            hint="lab status; lab doctor",
        )
    return bytes(out or b"")


def on_switch(client: Engine, lab: str, *words: str) -> str:
    """Runs a command of the lab's switch."""
    return execute(client, container_name(lab, "switch"), ["/chassis/switch", *words])


def press(client: Engine, lab: str, node: str, button: str) -> str:
    """Presses a power button of a chassis: on, off, soft or cycle."""
    return execute(client, container_name(lab, node), ["/chassis/power", button])


def stages(client: Engine, lab: str) -> dict[str, NodeStatus]:
    """Boot stage of every chassis that has power, by node name."""
    report = on_switch(client, lab, "stages").split("\n")  # a node's text may hold every other line end
    return dict(parse_stage(line) for line in report if line)


def parse_stage(line: str) -> tuple[str, NodeStatus]:
    """Reads one line `NODE NOW STAGE SINCE DETAIL…` of the switch's report; the node wrote all after NOW."""
    node, now, stage, since, detail = (*line.split(" ", 4), "", "", "", "")[:5]
    power = Power.OFF if stage == "off" else Power.ON
    return node, boot_stage(node, power, float(now) if now.isdecimal() else 0.0, stage, since, detail)
