"""What no object of ours may ask of a cluster; each fault is one line."""

from __future__ import annotations

from collections.abc import Iterator

from tests.deploy.charts import Object, of_kind

ROOT_ALLOWED = {"slurm": {"CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "SETGID", "SETUID"}}
"""The one container that starts jobs as their users: root, with these capabilities and no more."""
VOLUMES = {"emptyDir", "persistentVolumeClaim", "configMap", "secret", "projected"}
OWN = "slurm-token"
"""The container that may ask the API whose a token is, and the audience of every other container's token."""


def faults(found: list[Object]) -> list[str]:
    """Everything that is wrong with the objects of one release."""
    told = [line for one in of_kind(found, "Deployment") for line in _pod(one["spec"]["template"]["spec"])]
    told += [line for one in of_kind(found, "Service") for line in _service(one)]
    told += [line for one in of_kind(found, "ServiceAccount") for line in _account(one)]
    for one in of_kind(found, "ClusterRole") + of_kind(found, "Role"):
        right = {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]}
        told += [] if one["rules"] == [right] else ["a role with more than TokenReview"]
    for one in of_kind(found, "Secret"):
        told += [] if one["type"] == "kubernetes.io/tls" else [f"a Secret of type {one['type']}"]
        told += _readers(found, one["metadata"]["name"])
    return told


def _pod(pod: Object) -> Iterator[str]:
    if pod.get("automountServiceAccountToken") is not False:
        yield "a service account's token is mounted"
    for key in ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"):
        if key in pod:
            yield key
    for volume in pod["volumes"]:
        (kind,) = {*volume} - {"name"}
        if kind not in VOLUMES:
            yield f"a volume of kind {kind}"
        yield from _tokens(pod, volume)
    for one in _containers(pod):
        for line in (*_rights(pod, one), *_care(one)):
            yield f"{one['name']}: {line}"


def _containers(pod: Object) -> list[Object]:
    return [*pod.get("initContainers", ()), *pod["containers"]]


def _tokens(pod: Object, volume: Object) -> Iterator[str]:
    """A service account's token is for slurm-token, or in that container alone."""
    for source in volume.get("projected", {}).get("sources", ()):
        token = source.get("serviceAccountToken")
        if token is None or token.get("audience") == OWN:
            continue
        if _mounting(pod, volume["name"]) != {OWN}:
            yield "a token that opens the API of Kubernetes"


def _mounting(pod: Object, volume: str) -> set[str]:
    mounts = [(one["name"], mount["name"]) for one in _containers(pod) for mount in one["volumeMounts"]]
    return {name for name, mounted in mounts if mounted == volume}


def _rights(pod: Object, one: Object) -> Iterator[str]:
    own, common = one.get("securityContext", {}), pod.get("securityContext", {})
    added = set(own.get("capabilities", {}).get("add", ()))
    if added - ROOT_ALLOWED.get(one["name"], set()):
        yield f"capabilities {added}"
    if own.get("capabilities", {}).get("drop") != ["ALL"]:
        yield "capabilities are not dropped"
    for key, wanted in (
        ("privileged", False),
        ("allowPrivilegeEscalation", False),
        ("readOnlyRootFilesystem", True),
    ):
        if own.get(key) is not wanted:
            yield f"{key} is not {wanted}"
    if {**common, **own}.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "no filter of system calls"
    user = own.get("runAsUser", common.get("runAsUser"))
    nonroot = own.get("runAsNonRoot", common.get("runAsNonRoot"))
    if one["name"] not in ROOT_ALLOWED and (not user or nonroot is not True):
        yield "it may run as root"
    if any("hostPort" in port for port in one.get("ports", ())):
        yield "a port of the host"


def _care(one: Object) -> Iterator[str]:
    for probe in ("startupProbe", "livenessProbe"):
        if probe not in one:
            yield f"no {probe}"
    for key in ("memory", "cpu", "ephemeral-storage"):
        if key not in one["resources"]["limits"] or key not in one["resources"]["requests"]:
            yield f"no limit and request of {key}"
    if any("KEY" in env["name"] or env["name"][-3:] == "JWT" for env in one.get("env", ())):
        yield "a secret in the environment"
    if any("subPath" in mount for mount in one["volumeMounts"] if mount["mountPath"].startswith("/run")):
        yield "a token that is never renewed"


def _service(one: Object) -> Iterator[str]:
    if one["spec"]["type"] != "ClusterIP":
        yield f"a service of type {one['spec']['type']}"


def _account(one: Object) -> Iterator[str]:
    if one.get("automountServiceAccountToken") is not False:
        yield "a service account whose token is mounted"


def _readers(found: list[Object], secret: str) -> Iterator[str]:
    """A key of the service's own is in the service's container only."""
    for one in of_kind(found, "Deployment"):
        pod = one["spec"]["template"]["spec"]
        for volume in pod["volumes"]:
            named = volume.get("secret", {}).get("secretName") == secret
            if named and _mounting(pod, volume["name"]) != {OWN}:
                yield f"the key in {secret} is in other containers than {OWN}"
