"""Runs code in a kernel of a user's server, as a notebook would, and prints what it prints."""

from __future__ import annotations

import json
from typing import Any

from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.iostream import StreamClosedError
from tornado.websocket import WebSocketClosedError, websocket_connect

from lab.slurm_hub.messages import GONE, execute, show


async def run(url: str, token: str, code: str) -> int:
    """Runs code in the kernel at a URL without its scheme; returns 0, or 1 when it raises or dies."""
    request = HTTPRequest(f"ws://{url}/channels", headers={"Authorization": f"token {token}"})
    try:
        channel = await websocket_connect(request)
        message = execute(code)
        await channel.write_message(json.dumps(message))
        return await _follow(channel, message["header"]["msg_id"])
    except (WebSocketClosedError, StreamClosedError, HTTPClientError, OSError):
        print(GONE, flush=True)
        return 1


async def _follow(channel: Any, asked: str) -> int:
    """Prints what comes of a request until the kernel is idle again."""
    while (line := await channel.read_message()) is not None:
        ended = show(line, asked)
        if ended is not None:
            return ended
    print(GONE, flush=True)
    return 1
