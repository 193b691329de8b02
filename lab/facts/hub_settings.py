"""Prints what a Hub would do with a configuration; runs with the Hub's Python, which alone has its packages.

The argument is the configuration in base64. It runs as it does when the Hub starts, and the job's script is
made by the spawner that it names (batchspawner.py, submit_batch_script).
"""

from __future__ import annotations

import base64
import json
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any


def settings_of(text: str) -> dict[str, Any]:
    """Runs a configuration; says what it sets, and the script of a server's job."""
    from traitlets.config.loader import PyFileConfigLoader

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "jupyterhub_config.py"
        path.write_text(text, encoding="utf-8")
        config = PyFileConfigLoader(str(path)).load_config()
    config.JupyterHub.pop("services", None)  # they hold a token
    found = {f"{owner}.{name}": str(value) for owner, each in config.items() for name, value in each.items()}
    return {"problem": "", "settings": found, "script": script_of(config)}


def script_of(config: Any) -> str:
    """The script of user1's job; nothing is submitted."""
    from batchspawner.batchspawner import format_template
    from traitlets import import_item

    wanted = config.JupyterHub.spawner_class
    spawner = (import_item(wanted) if isinstance(wanted, str) else wanted)(
        config=config, user=SimpleNamespace(name="user1")
    )
    spawner.req_keepvars = "PATH"
    made: str = format_template(spawner.batch_script, **spawner.get_req_subvars(), cmd="SERVER")
    return made


def main() -> None:
    """Prints one line of JSON, whatever the configuration does."""
    text = base64.b64decode(sys.argv[1]).decode()
    try:
        found = settings_of(text)
    except Exception as problem:  # noqa: BLE001 (a learner's file may raise anything)
        found = {"problem": f"{type(problem).__name__}: {problem}", "settings": {}, "script": ""}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
