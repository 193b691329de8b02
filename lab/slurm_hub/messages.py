"""Messages of a kernel of a user's server: what is asked, and what of the answers is shown.

All that comes back is the user's own: it may have any form, and a terminal must not act on it.
"""

from __future__ import annotations

import json
import uuid
from typing import Any

GONE = "the server went away while it worked"
DIED = "the kernel died while it worked"


def show(line: str | bytes, asked: str) -> int | None:
    """Prints a message that belongs to a request; returns a status when it is the last one, else None."""
    try:
        return _show(json.loads(line), asked)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None  # not a message of Jupyter's


def _show(told: Any, asked: str) -> int | None:
    """Prints a message; returns a status when it is the last one."""
    kind, content = told["header"]["msg_type"], told["content"]
    if kind == "status" and content["execution_state"] in ("restarting", "dead"):
        print(DIED, flush=True)
        return 1
    if told["parent_header"].get("msg_id") != asked:
        return None
    if kind == "stream":
        print(shown(content["text"]), end="", flush=True)
    elif kind == "error":
        print(shown(f"{content['ename']}: {content['evalue']}"), flush=True)
        return 1
    elif kind == "status" and content["execution_state"] == "idle":
        return 0
    return None


def shown(text: str) -> str:
    """A text without what a terminal would act on."""
    return "".join(one if one.isprintable() or one in "\n\t" else "?" for one in text)


def execute(code: str) -> dict[str, Any]:
    """A request to run code (jupyter_client, Messaging in Jupyter, execute_request)."""
    header = {"msg_id": uuid.uuid4().hex, "session": uuid.uuid4().hex, "username": "", "date": ""}
    return {
        "header": header | {"msg_type": "execute_request", "version": "5.3"},
        "parent_header": {},
        "metadata": {},
        "content": {"code": code, "silent": False, "store_history": False, "allow_stdin": False},
        "buffers": [],
        "channel": "shell",
    }
