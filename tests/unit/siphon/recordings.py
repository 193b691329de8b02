"""The recorded exchanges of tests/data/slurm-config as values."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path

from lab.siphon.protocol import messages

FOLDER = Path(__file__).parents[2] / "data" / "slurm-config"
KEYS = FOLDER / "keys"


@dataclass(frozen=True)
class File:
    name: bytes
    exists: bool
    execute: bool
    content: bytes


@dataclass(frozen=True)
class Recording:
    name: str
    controller: str
    auth: str
    case: str
    client_protocol: int
    request: bytes
    reply: bytes
    reply_protocol: int | None
    reply_flags: int | None
    reply_type: int | None
    code: int | None
    spool_dir: bytes | None
    files: tuple[File, ...] | None
    text: str | None


def load() -> tuple[Recording, ...]:
    index = json.loads((FOLDER / "index.json").read_text())
    return tuple(_recording(entry) for entry in index)


def _recording(entry: dict[str, object]) -> Recording:
    name = str(entry["name"])
    files = entry.get("files")
    spool_dir = entry.get("slurmd_spooldir")
    return Recording(
        name=name,
        controller=str(entry["controller"]),
        auth=str(entry["auth"]),
        case=str(entry["case"]),
        client_protocol=_number(entry["client_protocol"]) or 0,
        request=(FOLDER / f"{name}.request.bin").read_bytes(),
        reply=(FOLDER / f"{name}.reply.bin").read_bytes(),
        reply_protocol=_number(entry.get("reply_protocol")),
        reply_flags=_number(entry.get("reply_flags")),
        reply_type=_number(entry.get("reply_type")),
        code=_number(entry.get("rc")),
        spool_dir=None if spool_dir is None else str(spool_dir).encode(),
        files=tuple(_file(file) for file in files) if isinstance(files, list) else None,
        text=None if entry.get("reply_text") is None else str(entry["reply_text"]),
    )


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _file(entry: dict[str, object]) -> File:
    content = entry["content_b64"]
    return File(
        # The eleventh position is nameless in 20.11; the table calls it xtra, Slurm 21.08 job_container.conf.
        name=b"job_container.conf" if entry["name"] == "xtra" else str(entry["name"]).encode(),
        exists=bool(entry["exists"]),
        execute=bool(entry["execute"]),
        content=b"" if content is None else base64.b64decode(str(content)),
    )


BY_NAME = {recording.name: recording for recording in load()}


def sent(recording: Recording) -> bytes:
    """The credential in a recorded request."""
    credential = messages.decode_request(recording.request[4:]).auth.credential
    assert credential is not None
    return credential.reveal()


def unbase64(text: bytes) -> bytes:
    return base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
