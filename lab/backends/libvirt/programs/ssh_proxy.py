"""A program for ssh's ProxyCommand: joins its standard input and output to the socket of a machine's door.

A serial line does not know where one caller ends and the next begins. So all is thrown away until the
server's first line comes, and only then is ours sent; a server that still waits for an earlier caller is sent
nonsense, which ends it. Standard library only: it starts in a few hundredths of a second.
"""

from __future__ import annotations

import os
import select
import socket
import sys
import time

GREETING = b"SSH-2.0-"
NONSENSE = b"\0" * 64
PATIENCE = 15.0  # seconds until a server is taken for one that still serves an earlier caller; or as told
TRIES = 2


def main(path: str, patience: str = str(PATIENCE)) -> int:
    """Joins; ends when either side does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        try:
            line.connect(path)
        except OSError as problem:
            sys.stderr.write(f"{path}: {problem.strerror}\n")
            return 1
        greeting = greeted(line, patience=float(patience))
        if not greeting:
            return 1
        os.write(1, greeting)
        relay(line)
    return 0


def greeted(line: socket.socket, tries: int = TRIES, patience: float = PATIENCE) -> bytes:
    """The server's first line and what came with it; nothing when none comes, whatever else does."""
    heard = b""
    for _ in range(tries):
        ends = time.monotonic() + patience
        while (left := ends - time.monotonic()) > 0 and select.select([line], [], [], left)[0]:
            data = line.recv(65536)
            if not data:
                return b""
            heard += data
            if GREETING in heard:
                return heard[heard.index(GREETING) :]
            heard = heard[-len(GREETING) :]
        line.sendall(NONSENSE)
    return b""


def relay(line: socket.socket) -> None:
    """Passes bytes both ways until one side ends."""
    while True:
        ready = select.select([line.fileno(), 0], [], [])[0]
        if line.fileno() in ready:
            data = line.recv(65536)
            if not data:
                return
            while data:
                data = data[os.write(1, data) :]
        if 0 in ready:
            data = os.read(0, 65536)
            if not data:
                return
            line.sendall(data)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
