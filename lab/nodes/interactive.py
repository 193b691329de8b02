"""A login shell whose terminal is shown: prompt, command and output, as when a learner types."""

from __future__ import annotations

import base64
import codecs
import re
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from lab.host_speed import HostSpeed
from lab.nodes.pty import CTRL_C, ConsoleLost, PtyTransport, decode
from lab.nodes.shell import GRACE, PIECE, CommandTimeout, Result
from lab.polling import Limit, Sleep, pause

TYPING = 0.035  # seconds between two letters at reading speed
READING = 0.25  # seconds a line of output is left standing at reading speed


@dataclass(frozen=True)
class Reply:
    """What to type when a program asks: a pattern of its question, and the answer."""

    question: re.Pattern[str]
    answer: str


class Session:
    """A learner's bash login shell; state such as the folder, variables and functions is kept.

    `show` gets each piece of text for the terminal as it comes. With `slow`, text is typed and shown at
    reading speed. All limits follow `speed`.
    """

    def __init__(
        self,
        argv: Sequence[str],
        show: Callable[[str], None],
        transcript: Path | None = None,
        *,
        slow: bool = False,
        sleep: Sleep = pause,
        speed: HostSpeed | None = None,
    ) -> None:
        self._speed = HostSpeed(most=1.0) if speed is None else speed
        self._show = show
        self._slow = slow
        self._sleep = sleep
        self._halves = (secrets.token_hex(8), secrets.token_hex(8))
        self._number = 0
        self._status = 0
        self._prompt = "$ "
        self._transport = PtyTransport(argv, transcript, self._speed)
        self._start()

    def type_visible(self, command: str, replies: Sequence[Reply] = (), timeout: float = 120.0) -> Result:
        """Types a command, of one or more lines, and shows it and its output as it comes.

        `timeout` is in seconds of a quiet host; CommandTimeout when it runs out.
        """
        self._show_typing(command)
        start = time.monotonic()
        limit = self._speed.limit(timeout)
        self._load(command, limit)
        self._number += 1
        self._transport.send(f'rk_n={self._number}; (exit {self._status}); . <(printf %s "$rk_t")\n'.encode())
        shown = _Shown(self._show, "".join(self._halves).encode(), replies, self._answer)
        match = self._transport.read_until(self._end(), limit, shown.feed)
        if match is None:
            raw = self._transport.drain()
            self._transport.send(CTRL_C)
            self._transport.read_until(self._end(), self._speed.limit(GRACE))
            self._transport.drain()
            raise CommandTimeout(command, limit, raw)
        self._status, self._prompt = int(match.group(1)), _prompt(match.group(2))
        output = self._transport.consume(match)
        shown.finish(output)
        text = decode(output).replace("\r\n", "\n")
        if self._slow:
            self._sleep(min(4.0, READING * (1 + text.count("\n"))))
        return Result(self._status, text, time.monotonic() - start)

    def close(self) -> None:
        """Ends the shell."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self) -> None:
        first, second = self._halves
        opening = (
            " stty -echo -ixon; unset PROMPT_COMMAND; set +o emacs; set +o vi; set +o histexpand; PS2=;"
            f" rk_n=0; rk_p=${{rk_p-$PS1}};"
            f" PS1='{first}''{second}[${{rk_n}}:$?]'\"$rk_p\"'{second}''{first}'\n"
        ).encode()
        match = self._transport.handshake(opening, self._end())
        self._prompt = _prompt(match.group(2))
        self._transport.consume(match)

    def _end(self) -> re.Pattern[bytes]:
        first, second = self._halves
        return re.compile(rf"{first}{second}\[{self._number}:(\d+)\](.*?){second}{first}".encode(), re.DOTALL)

    def _load(self, command: str, limit: Limit) -> None:
        """Puts the command into a variable, without showing it, in pieces that fit a terminal line."""
        text = base64.b64encode(command.encode()).decode()
        lines = [f"rk_t=${{rk_t}}{text[i : i + PIECE]}" for i in range(0, len(text), PIECE)]
        lines = ["rk_t=", *lines, "rk_t=$(printf %s $rk_t | base64 -d)"]
        for line in lines:
            self._number += 1
            self._transport.send(f"rk_n={self._number}; {line}\n".encode())
            match = self._transport.read_until(self._end(), limit)
            if match is None:
                raise ConsoleLost("the shell does not answer", self._transport.drain(), limit)
            self._transport.consume(match)

    def _show_typing(self, command: str) -> None:
        self._show(self._prompt)
        for letter in command.rstrip("\n"):
            self._show(letter)
            if self._slow:
                self._sleep(TYPING)
        self._show("\n")

    def _answer(self, answer: str) -> None:
        if self._slow:
            self._sleep(READING * 4)
        self._transport.send(answer.encode() + b"\n")
        self._show(answer + "\n")


class _Shown:
    """Passes output on to the terminal, except what may be the beginning of the marker."""

    def __init__(
        self,
        show: Callable[[str], None],
        marker: bytes,
        replies: Sequence[Reply],
        answer: Callable[[str], None],
    ) -> None:
        self._show = show
        self._marker = marker
        self._replies = list(replies)
        self._answer = answer
        self._done = 0
        self._asked = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def feed(self, buffer: bytearray) -> None:
        end = buffer.find(self._marker, max(0, self._done - len(self._marker)))
        if end < 0:
            end = len(buffer) - _overlap(buffer, self._marker)
        self._emit(bytes(buffer[self._done : end]))
        self._done = max(end, self._done)
        if self._replies:
            self._reply(decode(bytes(buffer[self._asked :])))

    def finish(self, output: bytes) -> None:
        self._emit(output[self._done :])
        if output and not output.endswith(b"\n"):
            self._show("\n")

    def _emit(self, data: bytes) -> None:
        if data:
            self._show(self._decoder.decode(data).replace("\r\n", "\n"))

    def _reply(self, text: str) -> None:
        reply = self._replies[0]
        if reply.question.search(text):
            self._asked = self._done
            del self._replies[0]
            self._answer(reply.answer)


def _overlap(buffer: bytearray, marker: bytes) -> int:
    for size in range(min(len(marker), len(buffer)), 0, -1):
        if buffer.endswith(marker[:size]):
            return size
    return 0


def _prompt(raw: bytes) -> str:
    return decode(raw).replace("\x01", "").replace("\x02", "").replace("\r\n", "\n")
