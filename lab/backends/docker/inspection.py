"""Read-only questions: which labs exist, and what this engine can do."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.backends.base import Capabilities, Finding
from lab.backends.docker import engine, protections, strays
from lab.backends.docker.container_spec import BOOTING, CAPABILITIES, RESTORING, SPECIFICATION
from lab.backends.docker.endpoint import resolve
from lab.backends.docker.engine import lab_filter, translate_errors
from lab.backends.object_names import PREFIX
from lab.errors import LabError
from lab.model import ClusterSpec, LabRecord, PendingBoot
from lab.serialize import boot_from_json, spec_from_json

if TYPE_CHECKING:
    from docker import APIClient

    from lab.backends.docker.engine import Engine

STATE = "state"
DISKS = frozenset({"block-devices"})
LOOPS = Path("/dev/loop-control")


def containers(client: Engine, lab: str) -> dict[str, dict[str, Any]]:
    """Lists a lab's containers by node name; the switch is called `switch`."""
    with translate_errors(f"listing the containers of {lab}"):
        listed = client.containers(all=True, filters=lab_filter(lab))
    return {entry["Labels"].get(engine.NODE, "switch"): entry for entry in listed}


def volumes(client: Engine, lab: str, **more: str) -> list[dict[str, Any]]:
    """Lists a lab's volumes; `more` are labels that they must have."""
    with translate_errors(f"listing the volumes of {lab}"):
        return list(client.volumes(filters=lab_filter(lab, **more))["Volumes"] or ())


def spec(client: Engine, lab: str) -> ClusterSpec | None:
    """The lab's newest specification; None when there is no such lab, or none that can be read."""
    found = spec_of(volumes(client, lab, part=SPECIFICATION))
    return found or spec_of(containers(client, lab).values())


def spec_of(listed: Iterable[dict[str, Any]]) -> ClusterSpec | None:
    """The specification on the labels of listed objects: the newest, and a record before any other object."""

    def rank(entry: dict[str, Any]) -> tuple[bool, str]:
        labels = entry["Labels"]
        return labels.get(engine.PART) == SPECIFICATION, labels.get(engine.CREATED, "")

    for entry in sorted(listed, key=rank, reverse=True):
        try:
            return spec_from_json(entry["Labels"][engine.SPEC])
        except (KeyError, ValueError):
            continue
    return None


def labs(client: Engine) -> tuple[LabRecord, ...]:
    """Lists every lab that has a container, a volume or a snapshot here."""
    by_lab: dict[str, list[dict[str, Any]]] = {}
    with translate_errors("listing the labs"):
        containers = client.containers(all=True, filters={"name": [f"^/?{PREFIX}-"]})
        volumes = client.volumes(filters={"name": [f"{PREFIX}-"]})["Volumes"] or ()
        images = client.images(filters=lab_filter(None))
    for entry in (*containers, *volumes, *images):
        labels = entry["Labels"] or {}
        if engine.LAB in labels and labels[engine.PART] != STATE:  # a start state is of no lab
            by_lab.setdefault(labels[engine.LAB], []).append(entry)
    found = strays.among(containers, volumes)
    for stray in found:
        if stray.is_nobodys:  # no lab may be left that they could have belonged to
            by_lab.setdefault(stray.lab, [])
    return tuple(
        _record(lab, entries, [one for one in found if one.lab == lab])
        for lab, entries in sorted(by_lab.items())
    )


def _record(lab: str, entries: Sequence[dict[str, Any]], of_its_name: Sequence[strays.Stray]) -> LabRecord:
    """Describes one lab by all objects that the engine has of it; any may be missing."""
    nodes = [entry for entry in entries if entry["Labels"].get(engine.PART) == "node"]
    marks: list[dict[str, str]] = [entry["Labels"] for entry in entries]
    oldest = min(marks, key=lambda labels: str(labels.get(engine.CREATED, "~")), default={})
    return LabRecord(
        lab=lab,
        backend="docker",
        owner=oldest.get(engine.OWNER, ""),
        created=oldest.get(engine.CREATED, ""),
        nodes=tuple(sorted(entry["Labels"][engine.NODE] for entry in nodes)),
        running=sum(entry["State"] == "running" for entry in nodes),
        spec=spec_of(entries),
        pending=next(
            (e["Labels"][engine.SNAPSHOT] for e in entries if e["Labels"].get(engine.PART) == RESTORING), ""
        ),
        boot=_boot_of(entries),
        strays=tuple(f"{one.kind} {one.name}" for one in of_its_name),
    )


def _boot_of(entries: Iterable[dict[str, Any]]) -> PendingBoot | None:
    """The newest record of a boot that nobody has seen completed."""
    found = [entry["Labels"] for entry in entries if entry["Labels"].get(engine.PART) == BOOTING]
    newest = max(found, key=lambda labels: str(labels.get(engine.CREATED, "")), default=None)
    return None if newest is None else boot_from_json(newest.get(engine.BOOT, ""))


def probe() -> Capabilities:
    """Says what this engine can do; each finding ends with its fix."""
    try:
        endpoint = resolve(os.environ)
        client = engine.connect(endpoint, timeout=60)
    except LabError as problem:
        finding = Finding("Docker's engine", ok=False, evidence=problem.evidence, fix=problem.hint)
        return Capabilities("Docker", usable=False, findings=(finding,), missing=DISKS)
    try:
        with translate_errors("asking the engine what it is"):
            info = client.info()
    except LabError as problem:
        finding = Finding("Docker's engine", ok=False, evidence=problem.evidence, fix=problem.hint)
        return Capabilities("Docker", usable=False, findings=(finding,), missing=DISKS)
    name = f"Docker {info['ServerVersion']}, cgroup v{info.get('CgroupVersion', '1')}, {info['Driver']}"
    if endpoint.origin:
        name += f", at {endpoint.shown}"
    findings = (
        Finding("Docker's engine", ok=True, evidence=name),
        _whole_root(info),
        _fuse(),
        _loops(),
        _chassis(client),
    )
    missing = frozenset[str]() if LOOPS.exists() else DISKS
    usable = all(finding.ok is not False for finding in findings)
    return Capabilities(name, usable, findings, missing, partial(protections.examine, client, info))


def _whole_root(info: dict[str, Any]) -> Finding:
    options = " ".join(info.get("SecurityOptions") or ())
    if "rootless" in options or "userns" in options:
        return Finding(
            "root of the engine",
            ok=False,
            evidence=f"the engine maps root to another user ({options})",
            fix="use an engine without rootless mode and user-namespace remapping",
        )
    return Finding("root of the engine", ok=True, evidence="not remapped")


def _fuse() -> Finding:
    found = Path("/dev/fuse").exists()
    return Finding(
        "/dev/fuse", found, "present" if found else "missing", "" if found else "sudo modprobe fuse"
    )


def _loops() -> Finding:
    """Optional: only exercises about disks need them."""
    there = LOOPS.exists()
    fix = "" if there else "sudo modprobe loop; until then nodes have no disk"
    return Finding("loop devices", True if there else None, "present" if there else "missing", fix)


def _chassis(client: APIClient) -> Finding:
    """Creates the namespaces that a chassis creates, with the same capabilities, and boots nothing."""
    import docker
    import requests

    subject = "namespaces of a chassis"
    try:
        status, output = _try_namespaces(client)
    except docker.errors.ImageNotFound:
        unbuilt = "the chassis image has not been built"
        return Finding(subject, ok=None, evidence=unbuilt, fix="lab images build")
    except requests.exceptions.RequestException as silence:  # a busy host: neither yes nor no
        if not isinstance(silence, docker.errors.APIError):
            return Finding(
                subject, ok=None, evidence=f"no answer in time: {silence}", fix="lab doctor, later"
            )
        refusal = str(silence.explanation or silence)
        return Finding(subject, ok=False, evidence=refusal, fix="see README, Requirements")
    fix = "" if status == 0 else "the host's kernel must be 5.6 or newer and allow namespaces to Docker"
    return Finding(subject, status == 0, output or "created and removed", fix)


def _try_namespaces(client: APIClient) -> tuple[int, str]:
    """Exit status and output of creating them in a short-lived container."""
    command = ["unshare", "--pid", "--fork", "--mount", "--cgroup", "--time", "--boottime", "-1", "true"]
    host = client.create_host_config(
        cap_add=list(CAPABILITIES),
        cgroupns="private",
        network_mode="none",
        security_opt=["apparmor=unconfined"],
    )
    made = client.create_container(
        engine.image("chassis"), command=command, host_config=host, labels={engine.PART: "probe"}
    )
    try:
        client.start(made["Id"])
        status = int(client.wait(made["Id"], timeout=60)["StatusCode"])
        return status, client.logs(made["Id"]).decode(errors="replace").strip()
    finally:
        client.remove_container(made["Id"], force=True)
