"""A user's server under a real JupyterHub of the chart's version: the values' pod, a token by the hook."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.backends.docker.engine import image as tagged
from tests.deploy.charts import HUB as FILES
from tests.deploy.charts import HUB_VALUES as VALUES
from tests.deploy.charts import Object
from tests.deploy.pod import Cluster, Pod, docker, remove
from tests.deploy.tls import certify
from tests.portal.page import FRESH, NAME, SLURM, Page, until

LABEL, HUB = "rackling.portal-hub", "pods-hub"


@pytest.fixture(autouse=True)
def _removed() -> Iterator[None]:
    remove(LABEL)
    yield
    remove(LABEL)


def user_pod(asked: dict[str, Any]) -> Object:
    """The pod that KubeSpawner makes of the values and of what the hook set (its objects.make_pod)."""
    user, spawning = VALUES["singleuser"], VALUES["hub"]["config"]["KubeSpawner"]
    limits = {"cpu": str(user["cpu"]["limit"]), "memory": "1Gi", **user["extraResource"]["limits"]}
    container = {
        "name": "notebook", "image": f"{user['image']['name']}:{user['image']['tag']}",
        "env": [{"name": name, "value": value} for name, value in asked["env"].items()],
        "resources": {"limits": limits},
        "securityContext": {
            "runAsUser": asked["uid"], "runAsGroup": asked["gid"], **spawning["container_security_context"],
        },
        "volumeMounts": [*user["storage"]["extraVolumeMounts"], *asked["volume_mounts"].values()],
        **spawning["extra_container_config"],
    }  # fmt: skip
    spec = {
        "automountServiceAccountToken": False, "terminationGracePeriodSeconds": 30,
        "securityContext": spawning["pod_security_context"], "containers": [container],
        "volumes": [*user["storage"]["extraVolumes"], *asked["volumes"].values()],
    }  # fmt: skip
    return {"metadata": {"labels": {"component": "singleuser-server"}}, "spec": spec}


def start_hub(page: Page, folder: Path) -> str:
    """A Hub, and the portal's slurm-token that answers its users; returns its administrator's token."""
    certify(folder, "slurm")
    for name in ("crt", "key"):
        docker("cp", str(folder / name), f"{SLURM}:/tmp/hub-{name}")
    docker("exec", SLURM, "chown", "slurm-token", "/tmp/hub-key", "/tmp/hub-crt")
    docker(
        "exec", "-d", "-u", "slurm-token", SLURM, "sh", "-c",
        "exec slurm-token serve --keys /var/lib/slurm-single-node/slurm-token --listen 0.0.0.0:8443"
        " --tls /tmp/hub-crt /tmp/hub-key --hub http://hub:8081/hub/api --plain-http --audit /tmp/hub-audit"
        " >/tmp/hub-log 2>&1",
    )  # fmt: skip
    token = secrets.token_hex(16)
    slurm = {
        **VALUES["custom"]["slurm"],
        "controller": "slurm",
        "tokenUrl": "https://slurm:8443/v1/token/hub",
    }
    values = {"custom.slurm": slurm, "hub.config.JupyterHub.authenticator_class": "null"}
    (folder / "told.json").write_text(json.dumps({"token": token, "values": values}))
    docker(
        "create", "--pull=never", "--label", LABEL, "--name", HUB, "--network", f"rackling_portal-{NAME}",
        "--network-alias", "hub", "--user", "0", "--workdir", "/tmp",
        "--entrypoint", "/opt/jupyter/bin/python3", tagged(f"slurm-jupyter-{page.release}"),
        "-m", "jupyterhub", "-f", "/hub/hub_config.py",
    )  # fmt: skip
    hub = folder / "hub"
    hub.mkdir()
    for path in (Path(__file__).with_name("hub_config.py"), FILES / "slurm_hook.py", folder / "told.json"):
        (hub / path.name).write_bytes(path.read_bytes())
    docker("cp", str(hub), f"{HUB}:/hub")
    etc = folder / "jupyterhub"
    etc.mkdir()
    (etc / "slurm-token-ca.crt").write_bytes((folder / "crt").read_bytes())
    docker("cp", str(etc), f"{HUB}:/usr/local/etc/jupyterhub")
    docker("start", HUB)
    return token


def ask(token: str, method: str, url: str) -> tuple[int, Any]:
    """Asks the Hub or a page, from beside the Hub."""
    code = (
        "import sys, urllib.request as u, urllib.error as e\n"
        "r = u.Request(sys.argv[2], method=sys.argv[1], headers={'Authorization': 'token ' + sys.argv[3]})\n"
        "try: a = u.urlopen(r, timeout=60)\n"
        "except e.HTTPError as error: a = error\n"
        "except OSError as error: print(0, error); sys.exit()\n"
        "print(a.status, a.read().decode())"
    )
    told = docker("exec", HUB, "python3", "-c", code, method, url, token, check=False)
    status, _, text = told.partition(" ")
    try:
        return int(status), json.loads(text)
    except ValueError:
        return (int(status) if status.isdigit() else 0), text


def test_a_users_server_of_a_hub_has_a_token_and_no_key(page: Page, tmp_path: Path) -> None:
    token, api = start_hub(page, tmp_path), "http://hub:8081/hub/api"
    until(lambda: ask(token, "GET", f"{api}/users")[0] == 200, 60, f"the Hub: {docker('logs', HUB)}")
    assert ask(token, "GET", api)[1] == {"version": "5.5.0"}
    assert ask(token, "POST", f"{api}/users/user1")[0] == 201
    assert ask(token, "POST", f"{api}/users/user1/server")[0] in (201, 202)
    found = until(lambda: docker("exec", HUB, "cat", "/hub/asked.json", check=False), 30, docker("logs", HUB))
    until(lambda: found.startswith("{"), 1, found)
    asked = json.loads(found)
    image = tagged(f"slurm-jupyter-{page.release}")
    name = f"{VALUES['singleuser']['image']['name']}:{VALUES['singleuser']['image']['tag']}"
    cluster = Cluster(f"rackling_portal-{NAME}", LABEL, {name: image}, lambda *_: "none")
    cluster.files["ConfigMap", "slurm-token-ca"] = {"ca.crt": (tmp_path / "crt").read_bytes()}
    homes = docker("volume", "create", "--label", LABEL, "pods-hub-homes")
    docker("run", "--rm", "--pull=never", "--user", "0", "-v", f"{homes}:/homes", "--entrypoint", "install",
           image, "-d", "-m", "700", "-o", "1001", "-g", "1001", "/homes/user1")  # fmt: skip
    cluster.claims["homes"] = homes
    pod = Pod(cluster, user_pod(asked), "pods-user1")
    pod.start()
    address = docker("exec", pod.container("notebook"), "hostname", "-i")
    docker("exec", HUB, "sh", "-c", 'printf %s "$1" >/hub/address', "sh", address)

    def server() -> Any:
        return ask(token, "GET", f"{api}/users/user1")[1]["servers"].get("", {})

    until(lambda: server().get("ready"), 30, f"{server()} {docker('logs', HUB)}")
    health = ("exec", pod.container("notebook"), "/usr/lib/slurm-jupyter/health")
    until(lambda: docker(*health, check=False) == FRESH, 30, f"{docker(*health, check=False)}")
    panel = f"http://{address}:8888/user/user1/jupyterlab_slurm/squeue"
    status, answer = ask(token, "GET", panel)
    assert (status, answer["success"]) == (200, True), answer
    assert ask("of-nobody-at-all", "GET", panel)[0] == 403
    seen = docker("inspect", pod.container("notebook"))
    assert "eyJ" not in seen
    lines = [json.loads(line) for line in docker("exec", SLURM, "cat", "/tmp/hub-audit").splitlines()]
    issued = [(one["how"], one["caller"], one["account"]) for one in lines if one["event"] == "issued"]
    assert issued == [("hub", "user1", "user1")] * 2, "the hook's, and the pod's own"
    _a_stranger_gets_a_sentence(token, api)


def _a_stranger_gets_a_sentence(token: str, api: str) -> None:
    """An account that the Hub knows and the cluster does not: slurm-token refuses, and nothing starts."""
    assert ask(token, "POST", f"{api}/users/user9")[0] == 201
    status, answer = ask(token, "POST", f"{api}/users/user9/server")
    told = "slurm-token refused: slurmctld's machine has no account of this name"
    assert (status, answer["message"]) == (503, told), answer
    assert told in docker("logs", HUB)
