"""The SDK's client, connected to our endpoint, without the settings that are for other containers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from docker import APIClient
from docker.tls import TLSConfig

from lab.backends.docker.endpoint import NO_SETTINGS, Endpoint, Tls
from lab.backends.docker.peek import MOST
from lab.errors import LabError


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

    def exec_start(  # type: ignore[override]  # as `Peek` has it
        self, exec_id: str, *, demux: bool
    ) -> tuple[bytes, bytes]:
        """Runs a prepared command to its end; LabError if it writes without end, as a node's programs may.

        The SDK would hold all of it. Its own stream is not iterated over: that takes a time-out for the end.
        """
        del demux  # always
        stream = vars(super().exec_start(exec_id, stream=True, demux=True))
        taken = (bytearray(), bytearray())
        with closing(stream["_response"]):
            for parts in stream["_stream"]:
                for whole, part in zip(taken, parts, strict=True):
                    whole.extend(part or b"")
                if max(map(len, taken)) > MOST:
                    raise LabError(f"a command wrote more than {MOST >> 20} MiB", hint="lab status")
        return bytes(taken[0]), bytes(taken[1])

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
