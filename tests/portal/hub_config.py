"""Configuration of a real JupyterHub in a container: the hook as zero-to-jupyterhub loads it.

The Hub's spawner asks the test for a pod by a file, and finds its address in another. There is no proxy:
requests go to the pod itself.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from jupyterhub.proxy import Proxy
from jupyterhub.spawner import Spawner

FOLDER = Path("/hub")
TOLD = json.loads((FOLDER / "told.json").read_text(encoding="utf-8"))


class NoProxy(Proxy):  # type: ignore[misc]  # jupyterhub is in the image, not here
    """Nobody asks the Hub for a page of a user's."""

    should_start = False

    async def add_route(self, routespec: str, target: str, data: object) -> None:
        """Adds none."""

    async def delete_route(self, routespec: str) -> None:
        """Deletes none."""

    async def get_all_routes(self) -> dict[str, object]:
        """There is none."""
        return {}


class PodSpawner(Spawner):  # type: ignore[misc]
    """What of KubeSpawner the hook sets; the pod is the test's."""

    def __init__(self, **told: Any) -> None:
        super().__init__(**told)
        self.uid, self.gid = 0, 0
        self.volumes: dict[str, Any] = {}
        self.volume_mounts: dict[str, Any] = {}
        self.ip, self.port = "0.0.0.0", 8888  # noqa: S104 - as KubeSpawner's

    async def start(self) -> tuple[str, int]:
        """Asks for the pod, and waits for its address."""
        asked = {"uid": self.uid, "gid": self.gid, "env": self.get_env(),
                 "volumes": self.volumes, "volume_mounts": self.volume_mounts}  # fmt: skip
        (FOLDER / "asked.json").write_text(json.dumps(asked), encoding="utf-8")
        while not (FOLDER / "address").exists():  # noqa: ASYNC110 - another container writes it
            await asyncio.sleep(0.1)
        return (FOLDER / "address").read_text(encoding="ascii").strip(), 8888

    async def poll(self) -> int | None:
        """It runs until the test ends."""
        return None

    async def stop(self, now: bool = False) -> None:
        """The test removes it."""


c = globals()["c"]
c.JupyterHub.update({
    "hub_bind_url": "http://0.0.0.0:8081", "hub_connect_url": "http://hub:8081", "db_url": "sqlite://",
    "proxy_class": NoProxy, "spawner_class": PodSpawner, "authenticator_class": "null",
    "cookie_secret_file": "/tmp/cookie_secret",
    "services": [{"name": "admin", "api_token": TOLD["token"]}],
    "load_roles": [{
        "name": "admin-all", "services": ["admin"],
        "scopes": ["admin:users", "admin:servers", "access:servers"],
    }],
})  # fmt: skip
c.Authenticator.allow_all = True


def get_config(key: str, default: object = None) -> Any:
    """As zero-to-jupyterhub gives the chart's values to its configuration."""
    return TOLD["values"].get(key, default)


exec(compile((FOLDER / "slurm_hook.py").read_text(encoding="utf-8"), "slurm_hook.py", "exec"))  # noqa: S102
