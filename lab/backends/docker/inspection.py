"""Looking, never changing: which labs there are, and what this engine can do."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.backends.base import Capabilities, Finding
from lab.backends.docker import engine
from lab.backends.docker.engine import lab_filter
from lab.specjson import spec_from_json
from lab.errors import LabError
from lab.model import ClusterSpec, LabRecord

if TYPE_CHECKING:
    from docker import APIClient

INOTIFY = Path("/proc/sys/fs/inotify/max_user_instances")
INOTIFY_WANTED = 8192  # the usual 128 stops systemd in about the 25th node
MISSING = frozenset({"kernel-modules", "kernel-version", "block-devices"})


def containers(client: APIClient, lab: str) -> dict[str, dict[str, Any]]:
    """The engine's listing of a lab's containers by node name; the switch is called `switch`."""
    listed = client.containers(all=True, filters=lab_filter(lab))
    return {entry["Labels"].get(engine.NODE, "switch"): entry for entry in listed}


def spec_of(listed: Iterable[dict[str, Any]]) -> ClusterSpec | None:
    """The lab's specification from its containers' labels; the switch always carries the newest."""
    entries = sorted(listed, key=lambda entry: entry["Labels"].get(engine.PART) != "switch")
    for entry in entries:
        try:
            return spec_from_json(entry["Labels"][engine.SPEC])
        except (KeyError, ValueError, LabError):
            continue
    return None


def labs(client: APIClient) -> tuple[LabRecord, ...]:
    """Every lab that has a container, a volume or a snapshot here."""
    by_lab: dict[str, list[dict[str, Any]]] = {}
    for entry in client.containers(all=True, filters=lab_filter(None)):
        by_lab.setdefault(entry["Labels"][engine.LAB], []).append(entry)
    for entry in client.volumes(filters=lab_filter(None))["Volumes"] or ():
        by_lab.setdefault(entry["Labels"][engine.LAB], [])
    for entry in client.images(filters=lab_filter(None)):
        by_lab.setdefault(entry["Labels"][engine.LAB], [])
    return tuple(_record(lab, entries) for lab, entries in sorted(by_lab.items()))


def _record(lab: str, entries: list[dict[str, Any]]) -> LabRecord:
    labels = entries[0]["Labels"] if entries else {}
    nodes = sorted(entry["Labels"][engine.NODE] for entry in entries if engine.NODE in entry["Labels"])
    running = sum(entry["State"] == "running" for entry in entries if engine.NODE in entry["Labels"])
    return LabRecord(
        lab=lab,
        backend="docker",
        owner=labels.get(engine.OWNER, ""),
        created=min((entry["Labels"].get(engine.CREATED, "") for entry in entries), default=""),
        nodes=tuple(nodes),
        running=running,
        spec=spec_of(entries),
    )


def probe() -> Capabilities:
    """Says what this engine can do; each finding ends with its fix."""
    try:
        client = engine.connect(timeout=20)
    except LabError as problem:
        finding = Finding("Docker's engine", False, problem.evidence, problem.hint)
        return Capabilities("Docker", False, (finding,), MISSING)
    info = client.info()
    name = f"Docker {info['ServerVersion']}, cgroup v{info.get('CgroupVersion', '1')}, {info['Driver']}"
    findings = (
        Finding("Docker's engine", True, name),
        _whole_root(info),
        _inotify(),
        _fuse(),
        _chassis(client),
    )
    return Capabilities(name, all(finding.ok is not False for finding in findings), findings, MISSING)


def _whole_root(info: dict[str, Any]) -> Finding:
    options = " ".join(info.get("SecurityOptions") or ())
    if "rootless" in options or "userns" in options:
        return Finding(
            "root of the engine",
            False,
            f"the engine maps root to another user ({options})",
            "use an engine without rootless mode and user-namespace remapping",
        )
    return Finding("root of the engine", True, "not remapped")


def _inotify() -> Finding:
    value = int(INOTIFY.read_text())
    fix = "" if value >= INOTIFY_WANTED else f"sudo sysctl fs.inotify.max_user_instances={INOTIFY_WANTED}"
    return Finding("inotify instances", value >= INOTIFY_WANTED, f"max_user_instances is {value}", fix)


def _fuse() -> Finding:
    found = Path("/dev/fuse").exists()
    return Finding("/dev/fuse", found, "there" if found else "missing", "" if found else "sudo modprobe fuse")


def _chassis(client: APIClient) -> Finding:
    """Boots nothing, but makes the namespaces a chassis makes, with the rights a chassis has."""
    import docker

    from lab.backends.docker.chassis import CAPABILITIES

    command = ["unshare", "--pid", "--fork", "--mount", "--cgroup", "--time", "--boottime", "-1", "true"]
    host = client.create_host_config(
        cap_add=list(CAPABILITIES), cgroupns="private", network_mode="none", security_opt=["apparmor=unconfined"]
    )
    try:
        made = client.create_container(
            "rackling/chassis:current", command=command, host_config=host, labels={f"{engine.PREFIX}.part": "probe"}
        )
        try:
            client.start(made["Id"])
            status = client.wait(made["Id"], timeout=15)["StatusCode"]
            output = client.logs(made["Id"]).decode(errors="replace").strip()
        finally:
            client.remove_container(made["Id"], force=True)
    except docker.errors.ImageNotFound:
        return Finding("namespaces of a chassis", None, "the chassis image has not been built", "lab images build")
    except docker.errors.APIError as problem:
        return Finding("namespaces of a chassis", False, str(problem.explanation), "see README, Requirements")
    fix = "" if status == 0 else "the host's kernel must be 5.6 or newer and allow namespaces to Docker"
    return Finding("namespaces of a chassis", status == 0, output or "made and left", fix)
