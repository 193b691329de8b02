"""What `nodeimage … --json` answers of releases."""

from __future__ import annotations

import json

UNKNOWN, INVALID = 19, 18
"""Exit statuses (lab/guest/nodeimage/errors.py)."""
VALID = '{"status": 0, "valid": true}\n'


def shown(name: str, commit: str = "2d6f0c1b7e9a", size: int = 9) -> str:
    """A release."""
    files = {"image": {"size": size, "sha256": "0" * 64}}
    return json.dumps({"status": 0, "release": name, "commit": commit, "files": files}) + "\n"


def listed(role: str, *names: str) -> str:
    """The releases of a role."""
    return json.dumps({"status": 0, "releases": [{"role": role, "release": name} for name in names]}) + "\n"


def refused(status: int, message: str, *evidence: str) -> str:
    """An error, which stands before its JSON for people, too."""
    error = {"message": message, "evidence": list(evidence), "hint": ""}
    return f"error: {message}\n{json.dumps({'status': status, 'error': error})}\n"
