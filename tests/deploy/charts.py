"""The charts, rendered by Helm's own engine and validated by the API's schemas; no cluster is asked."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml
from helm_python import Chart

Object = dict[str, Any]
DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
OLDEST, NEWEST = "1.32", "1.37"
"""Releases of Kubernetes: what zero-to-jupyterhub 4.4.0 asks for at least, and the newest with schemas."""
NAMESPACE = "lab"
HUB = DEPLOY / "zero-to-jupyterhub"
HUB_VALUES: Object = yaml.safe_load((HUB / "values.yaml").read_text(encoding="utf-8"))
NOTEBOOK: Object = {
    "image": "registry.example.com/slurm-jupyter-trixie:1",
    "user": {"name": "user1", "uid": 1001, "gid": 1001},
    "controller": "slurm",
    "token": {"url": "https://slurm:8443/v1/token/kubernetes", "ca": {"configMap": "slurm-token-ca"}},
}
SECRET: Object = {"token": {"url": "", "ca": {"configMap": ""}, "secret": "user1-slurm-token"}}
EGRESS = {"to": [{"ipBlock": {"cidr": "192.0.2.10/32"}}], "ports": [{"port": 6817}, {"port": 6819}]}
SLURM: Object = {
    "image": "registry.example.com/slurm-single-node-trixie:1",
    "token": {"accounts": {f"{NAMESPACE}:notebook": "user1"}},
}
PLACED: Object = {
    "imagePullSecrets": ["registry"],
    "nodeSelector": {"disk": "fast"},
    "tolerations": [{"key": "teaching", "operator": "Exists"}],
}
VARIANTS: dict[str, tuple[str, str, Object]] = {
    "notebook": ("slurm-jupyter", "notebook", NOTEBOOK),
    "notebook-secret": ("slurm-jupyter", "notebook", NOTEBOOK | SECRET),
    "notebook-all": (
        "slurm-jupyter",
        "notebook",
        NOTEBOOK
        | PLACED
        | {
            "home": {"claim": "homes", "subPath": "user1"},
            "service": {"enabled": True},
            "networkPolicy": {"egress": [EGRESS]},
            "controller": "[2001:db8::1]:6817,ctl-2",
        },
    ),
    "slurm": ("slurm-single-node", "slurm", SLURM),
    "slurm-alone": ("slurm-single-node", "slurm", SLURM | {"token": {"enabled": False}}),
    "slurm-all": (
        "slurm-single-node",
        "slurm",
        SLURM
        | PLACED
        | {
            "state": {"size": "2Gi", "storageClass": "fast"},
            "home": {"claim": "homes"},
            "token": {"accounts": {"a:b": "user2"}, "tlsSecret": "own", "lifespan": 120},
            "networkPolicy": {"enabled": False},
        },
    ),
}
"""Chart, release and values: together they reach each line of each template."""


def merged(values: Object, changed: Object) -> Object:
    """The values with some of them changed, as `--set` changes them."""
    found = copy.deepcopy(values)
    for key, value in changed.items():
        inner = found.get(key)
        found[key] = merged(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return found


def rendered(chart: str, release: str, values: Object) -> tuple[list[Object], str]:
    """The objects of a chart, and its notes. Raises helm_python's errors, as `helm install` shows them."""
    loaded = Chart.load(str(DEPLOY / "charts" / chart))
    files = loaded.render(values, name=release, namespace=NAMESPACE)
    notes = next(text for path, text in files.items() if path.endswith("NOTES.txt"))
    texts = [text for path, text in files.items() if path.endswith(".yaml")]
    return [one for text in texts for one in yaml.safe_load_all(text) if one], notes


def objects(variant: str) -> list[Object]:
    """The objects of a variant."""
    chart, release, values = VARIANTS[variant]
    return rendered(chart, release, values)[0]


def validate(one: Object, version: str) -> None:
    """Raises if that release of Kubernetes has no such object, or not such a field in it."""
    kubernetes_validate.validate(one, version, strict=True)


def of_kind(found: list[Object], kind: str) -> list[Object]:
    """The objects of one kind."""
    return [one for one in found if one["kind"] == kind]


def pod_of(found: list[Object]) -> Object:
    """The pod's template of the one Deployment."""
    (deployment,) = of_kind(found, "Deployment")
    template: Object = deployment["spec"]["template"]
    return template
