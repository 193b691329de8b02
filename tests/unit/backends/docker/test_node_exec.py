"""How a command is handed to a node: its words arrive with all their bytes."""

from __future__ import annotations

import os
import subprocess

from lab.backends.docker.node_exec import as_utf8, shell

WORDS = [b"lat\xe9in", b"%d \\n", b"ends in\n\n", b"", b"\"'$HOME`*", bytes(range(1, 256))]


def test_words_that_are_not_utf8_are_handed_over_in_ascii_and_arrive_as_they_are() -> None:
    command = as_utf8(["printf", "%s|", *map(os.fsdecode, WORDS)])
    assert all(word.isascii() for word in command)
    done = subprocess.run(command, capture_output=True, check=True, timeout=20)
    assert done.stdout == b"|".join([*WORDS, b""])


def test_words_in_utf8_are_not_touched() -> None:
    command = ["echo", "für", "%d"]
    assert as_utf8(command) == command


def test_a_mark_is_in_the_surroundings_and_a_terminal_only_where_one_is_wanted() -> None:
    argv = shell(["docker"], "mine", "c1", ["true"], user="root", tty=False, mark="m")
    assert argv[:5] == ["docker", "exec", "-i", "-e", "RACKLING_SHELL=m"]
    assert argv[-2:] == ["root", "true"]
    assert "-it" in shell(["docker"], "mine", "c1", None, user="root", tty=True, mark="")
