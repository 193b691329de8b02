"""The SDK's client, connected to our endpoint, without the settings that are for other containers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from docker import APIClient
from docker.tls import TLSConfig

from lab.backends.docker.endpoint import NO_SETTINGS, Endpoint, Tls


class Client(APIClient):
    """A client that takes nothing from the user's config.json.

    The SDK puts the file's proxies into every container and image (create_container, build), and asks helper
    programs for registry passwords before every build.
    """

    def __init__(self, endpoint: Endpoint, version: str, seconds: float) -> None:
        more: dict[str, Any] = {"tls": _tls(endpoint.tls)} if endpoint.tls else {}
        with _without_settings():
            super().__init__(
                base_url=endpoint.host, version=version, timeout=int(seconds), use_ssh_client=True, **more
            )

    def _set_auth_headers(self, headers: dict[str, str]) -> None:
        """Sends no passwords: our images come from no registry."""


def _tls(tls: Tls) -> TLSConfig:
    pair = (tls.cert, tls.key) if tls.cert and tls.key else None
    return TLSConfig(client_cert=pair, ca_cert=tls.ca or None, verify=tls.verify)


@contextmanager
def _without_settings() -> Iterator[None]:
    """The SDK reads the folder's name from the environment and takes none as an argument."""
    name = "DOCKER_CONFIG"
    kept = os.environ.get(name)
    os.environ[name] = str(NO_SETTINGS)
    try:
        yield
    finally:
        os.environ.pop(name)
        if kept is not None:
            os.environ[name] = kept
