"""The charts' pods in Docker: each container with its very command, user, rights and mounts becomes ready."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from lab.backends.docker.engine import image as tagged
from tests.deploy import kubernetes_api
from tests.deploy.charts import NOTEBOOK, SECRET, SLURM, Object, merged, of_kind, pod_of, rendered
from tests.deploy.pod import Cluster, Pod, docker, namespaced, remove
from tests.deploy.tls import certify
from tests.portal.page import FRESH, NAME, Page, token, until

LABEL = "rackling.portal-pods"
HEALTH = "/usr/lib/slurm-jupyter/health"


@pytest.fixture(autouse=True)
def _removed() -> Iterator[None]:
    remove(LABEL)
    yield
    remove(LABEL)


def images(release: str) -> dict[str, str]:
    """The images of this release in the place of those that the values name."""
    return {
        NOTEBOOK["image"]: tagged(f"slurm-jupyter-{release}"),
        SLURM["image"]: tagged(f"slurm-single-node-{release}"),
    }


def asked(pod: Pod, *words: str) -> str:
    """What a program in the notebook's container says."""
    return docker("exec", pod.container("notebook"), *words, check=False)


@pytest.mark.quick
def test_a_notebooks_pod_is_ready_and_follows_its_secret(page: Page) -> None:
    """Beside a portal's Slurm, with a token from a Secret; a new one counts in the pod that runs."""
    cluster = Cluster(f"rackling_portal-{NAME}", LABEL, images(page.release), lambda *_: "none")
    cluster.files["Secret", "user1-slurm-token"] = {"token": token("user1")["SLURM_JWT"].encode()}
    found, _ = rendered("slurm-jupyter", "notebook", merged(NOTEBOOK, SECRET))
    pod = Pod(cluster, pod_of(found), "pods-one")
    pod.start()
    until(lambda: asked(pod, HEALTH) == FRESH, 20, f"fresh: {pod.log('notebook')}")
    assert asked(pod, "/usr/lib/slurm-jupyter/panel/squeue", "-h") == ""
    pod.renew("token", "token", token("user2")["SLURM_JWT"].encode())
    told = asked(pod, "/usr/lib/slurm-jupyter/panel/squeue", "-h")
    assert told == "the Slurm token is user2's, and this notebook is user1's"
    status = asked(pod, "cat", "/proc/1/status")
    assert "CapBnd:\t0000000000000000" in status
    assert "Seccomp:\t2" in status
    seconds, ended = pod.stop("notebook")
    print(f"the notebook's pod is ready after {pod.took['notebook']:.1f} s, and ends in {seconds:.1f} s")
    assert ended == 0


@dataclass(frozen=True)
class Kubernetes:
    """A network with an API that reviews tokens."""

    cluster: Cluster

    def install(self, chart: str, release: str, values: Object) -> Pod:
        """What `helm install` and a kubelet do."""
        found = rendered(chart, release, values)[0]
        self.cluster.take(found)
        pod = Pod(self.cluster, pod_of(found), f"pods-{release}")
        pod.start()
        return pod


def reviewers(found: list[Object]) -> list[str]:
    """The accounts to which a chart gives the right to ask for reviews."""
    roles = [one["metadata"]["name"] for one in of_kind(found, "ClusterRole") if "tokenreviews" in str(one)]
    bindings = [one for one in of_kind(found, "ClusterRoleBinding") if one["roleRef"]["name"] in roles]
    return [namespaced(subject["name"]) for one in bindings for subject in one["subjects"]]


@pytest.fixture
def kubernetes(release: str, tmp_path: Path) -> Kubernetes:
    """A network of its own; the API has the certificate that kube-root-ca.crt names."""
    network, secret = "rackling_portal-pods", secrets.token_hex(16)
    docker("network", "create", "--label", LABEL, network)
    certificate = certify(tmp_path, "kubernetes.default.svc")
    cluster = Cluster(network, LABEL, images(release), partial(_token, secret))
    cluster.files["ConfigMap", "kube-root-ca.crt"] = {"ca.crt": certificate.read_bytes()}
    cluster.claims["homes"] = docker("volume", "create", "--label", LABEL, "pods-homes")
    may_ask = reviewers(rendered("slurm-single-node", "slurm", SLURM)[0])
    image = images(release)[SLURM["image"]]
    docker("create", "--pull=never", "--label", LABEL, "--name", "pods-api", "--network", network,
           "--network-alias", "kubernetes.default.svc", "--entrypoint", "python3", image,
           "/root/kubernetes_api.py", "/root/crt", "/root/key", secret, *may_ask)  # fmt: skip
    for path in (Path(kubernetes_api.__file__), certificate, tmp_path / "key"):
        docker("cp", str(path), f"pods-api:/root/{path.name}")
    docker("start", "pods-api")
    return Kubernetes(cluster)


def _token(secret: str, account: str, audience: str) -> str:
    return kubernetes_api.make(secret, namespaced(account), audience)


def test_a_whole_slurm_hands_its_notebook_a_token(kubernetes: Kubernetes) -> None:
    """Both charts as their notes say: no key, no Secret with a token; and a notebook's job runs."""
    slurm = kubernetes.install("slurm-single-node", "slurm", merged(SLURM, {"home": {"claim": "homes"}}))
    home = {"home": {"claim": "homes", "subPath": "user1"}}
    pod = kubernetes.install("slurm-jupyter", "notebook", merged(NOTEBOOK, home))
    until(lambda: asked(pod, HEALTH) == FRESH, 30, f"{asked(pod, HEALTH)}\n{slurm.log('slurm-token')}")
    words = ("--parsable", "-D", "/home/user1", "-o", "out.%j", "--wrap", "srun id -un; hostname")
    number = asked(pod, "/usr/lib/slurm-jupyter/bin/sbatch", *words)
    assert number.isdigit(), number
    output = ("cat", f"/home/user1/out.{number}")
    until(lambda: asked(pod, *output) == "user1\nslurm", 30, f"{number}: {asked(pod, *output)}")
    _tells_who_asked(slurm)
    _keeps_its_keys(slurm, pod)
    begin = time.monotonic()
    stranger = kubernetes.install("slurm-jupyter", "stranger", NOTEBOOK)
    told = asked(stranger, HEALTH)
    assert "slurm-token refused: this service account has no account on the cluster" in told
    for one, name in ((stranger, "notebook"), (pod, "notebook"), (slurm, "slurm-token"), (slurm, "slurm")):
        seconds, status = one.stop(name)
        assert (seconds < one.spec["terminationGracePeriodSeconds"], status) == (True, 0), name
    took = {**slurm.took, **pod.took}
    print(f"ready after {took}; the stranger and all ends took {time.monotonic() - begin:.1f} s")


def _tells_who_asked(slurm: Pod) -> None:
    lines = [line for line in slurm.log("slurm-token").splitlines() if line.startswith("{")]
    (issued,) = {
        (line["how"], line["caller"], line["account"])
        for line in map(json.loads, lines)
        if line["event"] == "issued"
    }
    assert issued == ("kubernetes", "lab:notebook", "user1")


def _keeps_its_keys(slurm: Pod, notebook: Pod) -> None:
    """The service's own key and token are in its container alone; of a key the notebook has nothing."""
    for path in ("/tls/tls.key", "/api/token"):
        assert docker("exec", slurm.container("slurm-token"), "test", "-s", path) == ""
        with pytest.raises(AssertionError):
            docker("exec", slurm.container("slurm"), "test", "-e", path)
    found = asked(notebook, "find", "/run", "/home", "/tmp", "-name", "*.key", "-o", "-name", "*.pem")
    assert found == ""
    refused = docker("exec", "-u", "1001", slurm.container("slurm"), "ls", "/var/lib/slurm-single-node/keys",
                     check=False)  # fmt: skip
    assert "Permission denied" in refused


def test_slurms_pod_is_ready_without_slurm_token(kubernetes: Kubernetes) -> None:
    values = merged(SLURM, {"token": {"enabled": False}})
    slurm = kubernetes.install("slurm-single-node", "alone", values)
    told = docker("exec", "-u", "1001", "-w", "/home/user1", slurm.container("slurm"), "srun", "id", "-un")
    assert told == "user1"
