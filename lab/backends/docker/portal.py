"""Portals in Docker's engine: JupyterLab beside a whole Slurm on a network of their own."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from lab.account import account_name
from lab.backends.docker import engine, removal
from lab.backends.docker.engine import connect, translate_errors
from lab.backends.object_names import PREFIX
from lab.errors import LabError, UsageError
from lab.host_speed import measured_limit
from lab.polling import wait_for

if TYPE_CHECKING:
    from docker import APIClient

PORTAL = f"{PREFIX}.portal"
RELEASE, ROLE = f"{PREFIX}.release", f"{PREFIX}.role"
SLURM, PAGE = "slurm", "jupyter"
USER, UID = "user1", 1001  # one of the single node's two users
PAGE_PORT = "8888/tcp"
READY_SECONDS = 90.0
CODE = re.compile("once-[0-9a-f]{32}(?![0-9a-f])")
NAME = re.compile("[a-z][a-z0-9-]{0,20}")
Say = Callable[[str], None]


@dataclass(frozen=True)
class Portal:
    """One portal, as the engine has it."""

    name: str
    release: str
    owner: str
    created: str
    port: int  # on the host's loopback; 0 while the page does not run
    state: str  # "ready", "not yet" or "stopped"
    evidence: str  # what the page's health check said last


def _object(name: str, part: str = "") -> str:
    """Names of a portal's objects; no lab's have an underscore there."""
    return f"{PREFIX}_portal-{name}" + (f"-{part}" if part else "")


class Portals:
    """Makes, finds and removes portals."""

    def __init__(self, client: APIClient | None = None) -> None:
        self._client = client or connect()

    def every(self) -> tuple[Portal, ...]:
        """All portals of the engine, by name."""
        with translate_errors("listing portals"):
            return self._matching(PORTAL)

    def _matching(self, label: str) -> tuple[Portal, ...]:
        found: dict[str, dict[str, dict[str, Any]]] = {}
        wanted = {"label": [label]}
        for entry in self._client.containers(all=True, filters=wanted):
            labels = entry["Labels"]
            found.setdefault(labels[PORTAL], {})[labels.get(ROLE, "")] = entry
        for kind in (self._client.networks(filters=wanted), self._volumes(label)):
            for entry in kind:  # what is left of one whose containers have gone
                found.setdefault(entry["Labels"][PORTAL], {}).setdefault("", {"Labels": entry["Labels"]})
        return tuple(self._portal(name, found[name]) for name in sorted(found))

    def find(self, name: str) -> Portal | None:
        """The portal of that name."""
        with translate_errors(f"looking for portal {name}"):
            return next(iter(self._matching(f"{PORTAL}={name}")), None)

    def up(self, name: str, release: str, port: int, say: Say) -> None:
        """Makes what is missing, starts what stands still, and waits until the page has what it needs."""
        labels = {
            PORTAL: name,
            RELEASE: release,
            engine.OWNER: account_name(),
            engine.CREATED: datetime.now(UTC).isoformat(timespec="seconds"),
        }
        with translate_errors(f"making portal {name}", f"lab portal down {name} removes it"):
            self._make_surroundings(name, labels)
            for role, make in ((SLURM, self._slurm), (PAGE, self._page)):
                if self._inspect(_object(name, role)) is None:
                    say(f"{role}: starting")
                    make(name, release, labels | {ROLE: role}, port)
        for role in (SLURM, PAGE):
            with translate_errors(f"starting portal {name}", _hint(port, name)):
                self._client.start(_object(name, role))
        self._wait(name, say)

    def address(self, name: str) -> str:
        """A new address of the page that works once. Raises `LabError`."""
        portal = self.find(name)
        with translate_errors(f"asking portal {name} for an address", "lab portal status"):
            told = self._run(_object(name, PAGE), "/usr/lib/slurm-jupyter/url")
        code = CODE.search(told)
        if portal is None or code is None:
            raise LabError(f"portal {name} gives no address", evidence=told[:200], hint="lab portal status")
        return f"http://127.0.0.1:{portal.port}/lab?token={code.group()}"

    def down(self, name: str) -> None:
        """Removes all that has the portal's label."""
        with translate_errors(f"removing portal {name}", "lab portal down again"):
            wanted = f"{PORTAL}={name}"
            found = self._client.containers(all=True, filters={"label": [wanted]})
            removal.containers(self._client, [one["Id"] for one in found])
            for one in self._client.networks(filters={"label": [wanted]}):
                self._client.remove_network(one["Id"])
            removal.volumes(self._client, [one["Name"] for one in self._volumes(wanted)])

    def _make_surroundings(self, name: str, labels: dict[str, str]) -> None:
        if not self._client.networks(names=[f"^{_object(name)}$"], filters={"label": [f"{PORTAL}={name}"]}):
            self._client.create_network(_object(name), labels=labels, check_duplicate=True)
        there = {one["Name"] for one in self._volumes(f"{PORTAL}={name}")}
        for part in ("token", "home"):
            if _object(name, part) not in there:
                self._client.create_volume(_object(name, part), labels=labels)

    def _slurm(self, name: str, release: str, labels: dict[str, str], _port: int) -> None:
        """First: a new volume takes over the home folder, with its owner, that this image has."""
        self._create(
            name,
            SLURM,
            f"slurm-single-node-{release}",
            labels,
            {},
            binds=[f"{_object(name, 'token')}:/run/slurm-token", f"{_object(name, 'home')}:/home/{USER}"],
        )

    def _page(self, name: str, release: str, labels: dict[str, str], port: int) -> None:
        own = f"uid={UID},gid={UID}"
        self._create(
            name,
            PAGE,
            f"slurm-jupyter-{release}",
            labels,
            {
                "SLURM_CONTROLLER": SLURM,
                "SLURM_USER": f"{USER}:{UID}:{UID}",
                "SLURM_TOKEN_URL": "unix:/run/slurm-token/socket",
                "JUPYTER_LISTEN": "0.0.0.0",  # noqa: S104 - of the container; the port is on loopback
            },
            user=f"{UID}:{UID}",
            binds=[f"{_object(name, 'token')}:/run/slurm-token:ro", f"{_object(name, 'home')}:/home/{USER}"],
            read_only=True,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            tmpfs={"/tmp": "", "/run/slurm": f"mode=700,{own}"},  # noqa: S108 - of the container
            port_bindings={PAGE_PORT: ("127.0.0.1", port or None)},
        )

    def _create(
        self,
        name: str,
        role: str,
        image: str,
        labels: dict[str, str],
        environment: dict[str, str],
        *,
        user: str = "",
        **host: Any,
    ) -> None:
        client = self._client
        client.create_container(
            engine.image(image),
            name=_object(name, role),
            hostname=role,
            user=user or None,
            labels=labels,
            environment=environment,
            ports=[8888] if role == PAGE else None,
            host_config=client.create_host_config(network_mode=_object(name), init=False, **host),
            networking_config=client.create_networking_config(
                {_object(name): client.create_endpoint_config(aliases=[role])}  # type: ignore[arg-type]
            ),  # the stubs know no network's name
        )

    def _wait(self, name: str, say: Say) -> None:
        say("waiting for Slurm and the page")
        limit = measured_limit(READY_SECONDS)
        found = wait_for(lambda: self._look(name), limit, done=lambda one: one[0] != "not yet", every=0.5)
        if found[0] != "ready":
            raise LabError(
                f"portal {name} is not ready", evidence=found[1], hint=f"docker logs {_object(name, PAGE)}"
            )

    def _look(self, name: str) -> tuple[str, str]:
        """State and evidence: the page's own health check is run anew, since Docker's comes seldom."""
        for role in (SLURM, PAGE):
            found = self._inspect(_object(name, role))
            if found is None or not found["State"]["Running"]:
                logs = self._client.logs(_object(name, role), tail=5) if found else b"it has gone"
                return "stopped", f"{role} ended: {logs.decode('utf-8', 'replace')}"
        told = self._run(_object(name, PAGE), "/usr/lib/slurm-jupyter/health")
        return ("ready" if "are fresh" in told else "not yet"), told.strip()

    def _run(self, container: str, *words: str) -> str:
        made = self._client.exec_create(container, list(words))
        out, err = self._client.exec_start(made["Id"], demux=True)
        return ((out or b"") + (err or b"")).decode("utf-8", "replace")

    def _inspect(self, container: str) -> dict[str, Any] | None:
        import docker

        try:
            found: dict[str, Any] = self._client.inspect_container(container)
        except docker.errors.NotFound:
            return None
        return found

    def _volumes(self, label: str) -> list[dict[str, Any]]:
        return list(self._client.volumes(filters={"label": [label]})["Volumes"] or ())

    def _portal(self, name: str, parts: dict[str, dict[str, Any]]) -> Portal:
        labels = next(iter(parts.values()))["Labels"]
        page = parts.get(PAGE, {})
        ports = [one.get("PublicPort", 0) for one in page.get("Ports", ()) if one.get("PrivatePort") == 8888]
        running = all(parts.get(role, {}).get("State") == "running" for role in (SLURM, PAGE))
        state, evidence = self._look(name) if running else ("stopped", "")
        return Portal(
            name=name,
            release=labels.get(RELEASE, ""),
            owner=labels.get(engine.OWNER, ""),
            created=labels.get(engine.CREATED, ""),
            port=ports[0] if ports else 0,
            state=state,
            evidence=evidence,
        )


def _hint(port: int, name: str) -> str:
    if port:
        return f"if port {port} is taken: lab portal down {name}, then: lab portal up {name} --port ANOTHER"
    return f"lab portal down {name} removes it"


def check_name(name: str) -> None:
    """Raises `UsageError` for a name that no portal may have."""
    if not NAME.fullmatch(name):
        raise UsageError(f"a portal cannot be called {name!r}", hint="use small letters, digits and -")
