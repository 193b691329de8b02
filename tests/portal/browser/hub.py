"""A real JupyterHub on this host with the configuration of deploy/jupyterhub, beside a whole Slurm."""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.backends.docker.engine import image as tagged
from tests.portal.page import LABEL, docker, inside, until

ROOT = Path(__file__).resolve().parents[3]
DEPLOY = ROOT / "deploy" / "jupyterhub"
PROGRAMS = Path(os.environ["LAB_TEST_HUB"])
"""Where an environment made of requirements/dockerspawner.txt has its programs."""
NAME = "portal-proof-hub"
SLURM, HOMES, TOKENS = f"{NAME}-slurm", f"{NAME}-homes", f"{NAME}-tokens"
TOKEN_PORT = 6821
USERS = ("user1", "user2")
OF_THIS_TEST = """
c.JupyterHub.bind_url = "http://127.0.0.1:{port}"
c.JupyterHub.hub_port = {hub_port}
c.ConfigurableHTTPProxy.command = ["{programs}/configurable-http-proxy"]
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{proxy_port}"
c.JupyterHub.authenticator_class = "shared-password"
c.SharedPasswordAuthenticator.user_password = "{password}"
c.Authenticator.allowed_users = {users!r}
c.DockerSpawner.prefix = "{name}"
c.DockerSpawner.extra_create_kwargs = {{"labels": ["{label}"]}}
c.JupyterHub.services = [{{"name": "proof", "api_token": "{api_token}"}}]
c.JupyterHub.load_roles = [
    {{"name": "proof", "services": ["proof"], "scopes": ["admin:users", "admin:servers"]}}
]
"""
"""What a site's example leaves to the site: how people sign in; and ports, a name, and an account of ours."""


@dataclass
class Hub:
    """The Hub and what it needs; `close` ends everything."""

    folder: Path
    release: str
    gateway: str = ""
    password: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)
    api_token: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)
    ports: tuple[int, ...] = field(default_factory=lambda: free_ports(3))
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.ports[0]}"

    def start(self) -> None:
        """Slurm, slurm-token for this Hub, the Hub."""
        remove()
        docker("network", "create", "--label", LABEL, NAME)
        told = docker("network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", NAME)
        self.gateway = told.stdout.strip()
        docker(
            "run", "-d", "--pull=never", "--label", LABEL, "--name", SLURM, "--hostname", "slurm",
            "--network", NAME, "--network-alias", "slurm", "-v", f"{HOMES}:/home",
            "-v", f"{TOKENS}:/run/slurm-token", tagged(f"slurm-single-node-{self.release}"),
        )  # fmt: skip
        until(lambda: "ready after" in docker("logs", SLURM).stdout, 90, "Slurm")
        self.start_slurm_token()
        self._start_hub()

    def start_slurm_token(self) -> None:
        """One more slurm-token with the same keys, which asks this Hub."""
        words = ("slurm-token", "serve", "--keys", "/var/lib/slurm-single-node/slurm-token", "--plain-http")
        where = (
            "--listen",
            f"0.0.0.0:{TOKEN_PORT}",
            "--hub",
            f"http://{self.gateway}:{self.ports[1]}/hub/api",
        )
        docker("exec", "-d", "-u", "slurm-token", SLURM, *words, *where, "--audit", "/tmp/audit")
        until(self.slurm_token, 20, "slurm-token listens")

    def slurm_token(self) -> str:
        """The number of its process."""
        return docker("exec", SLURM, "pgrep", "-f", f"slurm-token serve .*{TOKEN_PORT}", check=False).stdout

    def stop_slurm_token(self) -> None:
        docker("exec", SLURM, "kill", *self.slurm_token().split())
        until(lambda: not self.slurm_token(), 20, "slurm-token has ended")

    def audit(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in inside(SLURM, "cat", "/tmp/audit").splitlines()]

    def configuration(self) -> str:
        """The example with this test's values in its first part, and what it leaves open."""
        values = {
            "IMAGE": tagged(f"slurm-jupyter-{self.release}"), "CONTROLLER": "slurm", "NETWORK": NAME,
            "TOKEN_URL": f"http://{self.slurm_address()}:{TOKEN_PORT}/v1/token/hub", "TOKEN_CA": None,
            "HUB_IP": self.gateway, "HOMES": {HOMES: "/home"}, "TOKENS": str(self.folder / "tokens"),
            "MEMORY": "600M",
        }  # fmt: skip
        text = (DEPLOY / "jupyterhub_config.py").read_text(encoding="utf-8")
        for name, value in values.items():
            text, count = re.subn(rf"^{name} = .*$", f"{name} = {value!r}", text, flags=re.MULTILINE)
            assert count == 1, name
        text = text.replace("Path(__file__).parent", f"{str(DEPLOY)!r}")
        return text + OF_THIS_TEST.format(
            port=self.ports[0], hub_port=self.ports[1], proxy_port=self.ports[2], programs=PROGRAMS,
            password=self.password, users=set(USERS), name=NAME, label=LABEL, api_token=self.api_token,
        )  # fmt: skip

    def slurm_address(self) -> str:
        told = docker("inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", SLURM)
        return told.stdout.strip()

    def _start_hub(self) -> None:
        config = self.folder / "config.py"
        config.write_text(self.configuration(), encoding="utf-8")
        path = f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [str(PROGRAMS / "jupyterhub"), "-f", str(config)], cwd=self.folder, stdin=subprocess.DEVNULL,
                stdout=log, stderr=subprocess.STDOUT, env={**os.environ, "PATH": path},
            )  # fmt: skip
        until(lambda: "JupyterHub is now running" in self.log(), 60, f"the Hub runs: {self.log()}")

    def log(self) -> str:
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    def close(self) -> None:
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        remove()

    def api(self, method: str, path: str) -> tuple[int, Any]:
        """Asks the Hub's API: status and JSON."""
        request = urllib.request.Request(f"{self.address}/hub/api{path}", method=method)  # noqa: S310 - of loopback
        request.add_header("Authorization", f"token {self.api_token}")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=60) as reply:
                data = reply.read()
                return reply.status, json.loads(data) if data else None
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, json.loads(refused.read() or b"null")

    def spawn(self, user: str) -> float:
        """Starts a user's server: the seconds until it is ready."""
        begin = time.monotonic()
        status, told = self.api("POST", f"/users/{user}/server")
        assert status in (201, 202), (status, told, self.log())

        def ready() -> bool:
            servers = self.api("GET", f"/users/{user}?include_stopped_servers=1")[1]["servers"]
            assert servers.get("", {}).get("pending") or servers.get("", {}).get("ready"), self.log()
            return bool(servers[""]["ready"])

        until(ready, 60, f"{user}'s server is ready")
        return time.monotonic() - begin

    def stop(self, user: str) -> None:
        """Stops a user's server, if there is one."""
        self.api("DELETE", f"/users/{user}/server")

        def gone() -> bool:
            return not self.api("GET", f"/users/{user}")[1]["servers"]

        until(gone, 60, f"{user}'s server has gone")


def server(user: str) -> str:
    """The container of a user's server."""
    return f"{NAME}-{user}"


def remove() -> None:
    """Removes everything of this Hub in the engine."""
    for one in docker("ps", "-aq", "--filter", f"name=^{NAME}-").stdout.split():
        docker("rm", "-fv", one, check=False)
    docker("volume", "rm", "-f", HOMES, TOKENS)
    docker("network", "rm", NAME, check=False)


def free_ports(count: int) -> tuple[int, ...]:
    """Ports that nobody has at the moment."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return tuple(one.getsockname()[1] for one in sockets)
    finally:
        for one in sockets:
            one.close()
