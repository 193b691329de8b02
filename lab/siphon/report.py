"""The output about a fetch: text for people, JSON for programs. Neither contains secrets."""

from __future__ import annotations

import json

from lab.siphon.errors import OK, SiphonError, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lab.siphon.fetch.client import Fetched
    from lab.siphon.protocol.messages import ConfigFile
    from lab.siphon.publish.target import Plan

SCHEMA = 1
"""Version of the JSON output."""


def summary(fetched: Fetched, plan: Plan, place: str, *, written: bool) -> str:
    """One line about a fetch."""
    words = ("written", "removed") if written else ("to write", "to remove")
    counts = [
        f"{len(paths)} {word}"
        for paths, word in ((plan.written, words[0]), (plan.removed, words[1]), (plan.unchanged, "unchanged"))
        if paths
    ]
    release = fetched.version.release
    return f"{printable(place)}: {', '.join(counts)} (from {fetched.server}, protocol {release})"


def changes(plan: Plan) -> list[str]:
    """One line for each path of a plan."""
    return [
        f"  {word:<9} {printable(path)}"
        for word, paths in (("write", plan.written), ("remove", plan.removed), ("unchanged", plan.unchanged))
        for path in paths
    ]


def as_json(
    fetched: Fetched,
    plan: Plan,
    *,
    target: str,
    auth: str,
    file_set: str,
    seconds: float,
    written: bool,
    warnings: tuple[str, ...],
) -> str:
    """One line of JSON about a fetch. `seconds` is the duration of the run."""
    version = fetched.version
    header = fetched.reply.header
    spool = fetched.reply.spool_dir
    return json.dumps(
        {
            "schema": SCHEMA,
            "status": OK.name,
            "server": str(fetched.server),
            "host": fetched.server.host,
            "port": fetched.server.port,
            "release": fetched.release,
            "protocol": {"release": version.release, "number": header.version},
            "auth": auth,
            "set": file_set,
            "tries": fetched.tries,
            "seconds": {
                "total": round(seconds, 6),
                "fetch": round(fetched.seconds, 6),
                "server": round(fetched.search_seconds, 6),
            },
            "vouched_by_uid": fetched.vouched_by,
            "slurmd_spool_dir": None if spool is None else _text(spool),
            "target": target,
            "changed": written and plan.differs(),
            "differs": plan.differs(),
            "written": plan.written,
            "removed": plan.removed,
            "unchanged": plan.unchanged,
            "warnings": warnings,
            "files": [_file(file) for file in fetched.reply.files],
        }
    )


def _file(file: ConfigFile) -> dict[str, object]:
    import hashlib

    return {
        "name": _text(file.name),
        "exists": file.exists,
        "execute": file.execute,
        "size": len(file.content) if file.exists else None,
        "sha256": hashlib.sha256(file.content).hexdigest() if file.exists else None,
    }


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")


def error_json(error: SiphonError) -> str:
    """One line of JSON about a failure."""
    return json.dumps(
        {
            "schema": SCHEMA,
            "status": error.kind.name,
            "exit": error.kind.status,
            "error": error.message,
            "evidence": error.evidence,
            "hint": error.hint,
        }
    )


def error_text(error: SiphonError) -> str:
    """The message, the evidence and the next command."""
    lines = [f"error: {error.message}", *(f"  {line}" for line in error.evidence.splitlines())]
    if error.hint:
        lines.append(f"hint: {error.hint}")
    return "\n".join(lines)
