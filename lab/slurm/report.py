"""What siphon says of a fetch: lines for people, JSON for programs; secrets reach neither."""

from __future__ import annotations

from lab.slurm.failure import OK, SiphonError, printable
from lab.slurm.record import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lab.slurm.client import Fetched
    from lab.slurm.messages import ConfigFile
    from lab.slurm.target import Plan

SCHEMA = 1


def summary(fetched: Fetched, plan: Plan, place: str, *, written: bool) -> str:
    """One line on a fetch."""
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


@dataclass(frozen=True)
class How:
    """What a fetch does not know of itself."""

    auth: str
    set: str
    seconds: float
    written: bool


def as_json(fetched: Fetched, plan: Plan, place: str, warnings: tuple[str, ...], how: How) -> str:
    """One line of JSON on a fetch."""
    import json

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
            "auth": how.auth,
            "set": how.set,
            "tries": fetched.tries,
            "seconds": {
                "total": round(how.seconds, 6),
                "fetch": round(fetched.seconds, 6),
                "server": round(fetched.search_seconds, 6),
            },
            "vouched_by_uid": fetched.vouched_by,
            "slurmd_spool_dir": None if spool is None else _text(spool),
            "target": place,
            "changed": how.written and plan.differs(),
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
    """One line of JSON on a failure."""
    import json

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
    """The sentence, the evidence and the next command."""
    lines = [f"error: {error.message}", *(f"  {line}" for line in error.evidence.splitlines())]
    if error.hint:
        lines.append(f"hint: {error.hint}")
    return "\n".join(lines)
