"""A rendered pod's containers in Docker, as a kubelet would start them: what this does not know, it refuses.

Volumes, users, capabilities, mounts and files follow Kubernetes' documents of volumes, security contexts and
projected tokens; an emptyDir is a new folder of root's that everybody may write to.
"""

from __future__ import annotations

import base64
import io
import subprocess
import tarfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.deploy.charts import NAMESPACE, Object

POD = {
    "serviceAccountName", "automountServiceAccountToken", "enableServiceLinks", "securityContext", "hostname",
    "terminationGracePeriodSeconds", "hostAliases", "initContainers", "containers", "volumes",
}  # fmt: skip
CONTAINER = {
    "name", "image", "imagePullPolicy", "command", "args", "env", "ports", "resources", "securityContext",
    "volumeMounts", "startupProbe", "readinessProbe", "livenessProbe", "restartPolicy",
}  # fmt: skip
RIGHTS = {
    "runAsUser", "runAsGroup", "runAsNonRoot", "seccompProfile", "allowPrivilegeEscalation", "privileged",
    "readOnlyRootFilesystem", "capabilities",
}  # fmt: skip
UNITS = {"Mi": 2**20, "Gi": 2**30}


def only(found: Object, known: set[str]) -> Object:
    """The mapping; fails for a word that would be silently ignored here."""
    assert set(found) <= known, f"not translated: {set(found) - known}"
    return found


def docker(*words: str, data: bytes | None = None, check: bool = True) -> str:
    """Runs the engine's command: what it printed, errors too."""
    done = subprocess.run(["docker", *words], input=data, capture_output=True, check=False, timeout=120)
    told = (done.stdout + done.stderr).decode("utf-8", "replace")
    assert not check or done.returncode == 0, f"docker {' '.join(words)}: {told}"
    return told.strip()


@dataclass
class Cluster:
    """What a pod finds around it: a network, ConfigMaps and Secrets, claims, and who signs its tokens."""

    network: str
    label: str
    images: dict[str, str]  # by the name in the values
    token: Callable[[str, str], str]  # of a service account, for an audience
    files: dict[tuple[str, str], dict[str, bytes]] = field(default_factory=dict)  # by kind and name
    claims: dict[str, str] = field(default_factory=dict)  # a claim's name: its volume in Docker
    services: dict[str, Object] = field(default_factory=dict)  # the labels that each one chooses

    def take(self, objects: list[Object]) -> None:
        """Takes in what `helm install` would send to the API."""
        for one in objects:
            kind, name = one["kind"], one["metadata"]["name"]
            if kind == "ConfigMap":
                self.files[kind, name] = {key: text.encode() for key, text in one["data"].items()}
            elif kind == "Secret":
                self.files[kind, name] = {k: base64.b64decode(text) for k, text in one["data"].items()}
            elif kind == "Service":
                self.services[name] = one["spec"]["selector"]

    def names(self, labels: Object) -> list[str]:
        """The services by which a pod with these labels is found."""
        return [name for name, chosen in self.services.items() if chosen.items() <= labels.items()]


class Pod:
    """One pod: a container that holds network and volumes, and the rendered ones in it."""

    def __init__(self, cluster: Cluster, template: Object, name: str) -> None:
        self.name, self._cluster = name, cluster
        self.spec = only(template["spec"], POD)
        self._labels = template["metadata"]["labels"]
        self._volumes: dict[str, str] = {}
        self._holder = f"{name}-pod"
        self.took: dict[str, float] = {}

    def start(self) -> None:
        """Starts all containers in order, and waits until their startup probes succeed."""
        self._hold()
        for one in self.spec.get("initContainers", ()):
            assert one["restartPolicy"] == "Always", "it would end before the others start"
            self._run(one)
        for one in self.spec["containers"]:
            self._run(one)

    def container(self, name: str) -> str:
        """Docker's name of a container."""
        return f"{self.name}-{name}"

    def log(self, name: str) -> str:
        return docker("logs", self.container(name))

    def stop(self, name: str) -> tuple[float, int]:
        """Ends a container as a kubelet does: seconds, and its exit status."""
        begin = time.monotonic()
        docker("stop", "-t", str(self.spec["terminationGracePeriodSeconds"]), self.container(name))
        status = docker("inspect", "-f", "{{.State.ExitCode}}", self.container(name))
        return time.monotonic() - begin, int(status)

    def probe(self, container: Object, kind: str) -> str:
        """Runs a probe of the pod's once: "" if it succeeds, else what it said."""
        told = only(
            container[kind],
            {"exec", "httpGet", "periodSeconds", "timeoutSeconds", "failureThreshold"},
        )
        if "exec" in told:
            words = ("exec", self.container(container["name"]), *told["exec"]["command"])
        else:
            ports = {port["name"]: port["containerPort"] for port in container["ports"]}
            asked = only(told["httpGet"], {"scheme", "path", "port"})
            code = (  # as a kubelet: from beside the container, and it verifies no certificate
                "import ssl, socket, urllib.request as u; c = ssl._create_unverified_context(); "
                f"u.urlopen(f'{asked['scheme'].lower()}://{{socket.gethostbyname(socket.gethostname())}}"
                f":{ports[asked['port']]}{asked['path']}', timeout={told['timeoutSeconds']}, context=c)"
            )
            words = ("exec", self._holder, "python3", "-c", code)
        done = subprocess.run(
            ["docker", *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=told["timeoutSeconds"] * 4,
        )
        return "" if done.returncode == 0 else done.stdout + done.stderr or "no words"

    def renew(self, volume: str, name: str, text: bytes) -> None:
        """Replaces a file of a Secret as a kubelet does: a new folder, and the link to it in one step."""
        self._fill(volume, {name: text}, time.monotonic_ns(), owner=0, mode=0o644)

    def _hold(self) -> None:
        """What Kubernetes calls the sandbox; here it also holds the volumes, so that none is unmounted."""
        for volume in self.spec["volumes"]:
            self._make(volume)
        places = [f"{made}:/volumes/{name}:nocopy" for name, made in self._volumes.items()]
        mounts = [word for place in places for word in ("-v", place)]
        names = self._cluster.names(self._labels)
        aliases = [word for one in names for word in ("--network-alias", one)]
        hosts = [
            f"--add-host={name}:{alias['ip']}"
            for alias in self.spec.get("hostAliases", ())
            for name in alias["hostnames"]
        ]
        image = self._image(self.spec["containers"][0])
        docker(
            "run", "-d", "--pull=never", "--label", self._cluster.label, "--name", self._holder,
            "--network", self._cluster.network, "--hostname", self.spec.get("hostname", self.name), *aliases,
            *hosts, *mounts, "--user", "0", "--entrypoint", "sleep", image, "infinity",
        )  # fmt: skip
        plain = [f"/volumes/{one['name']}" for one in self.spec["volumes"] if "emptyDir" in one]
        docker("exec", self._holder, "chmod", "0777", *plain)
        for volume in self.spec["volumes"]:
            self._fill_volume(volume)

    def _make(self, volume: Object) -> None:
        (kind,) = {*volume} - {"name"}
        name, what = f"{self.name}-{volume['name']}", volume[kind]
        options: list[str] = []
        if kind == "persistentVolumeClaim":
            self._volumes[volume["name"]] = self._cluster.claims[what["claimName"]]
            return
        if kind == "emptyDir" and only(what, {"medium", "sizeLimit"}).get("medium") == "Memory":
            size = f"size={_bytes(what['sizeLimit'])}"
            options = ["--opt", "type=tmpfs", "--opt", "device=tmpfs", "--opt", f"o={size},mode=0777"]
        docker("volume", "create", "--label", self._cluster.label, *options, name)
        self._volumes[volume["name"]] = name

    def _fill_volume(self, volume: Object) -> None:
        (kind,) = {*volume} - {"name"}
        what, name = volume[kind], volume["name"]
        if kind == "secret":
            self._fill(name, self._picked("Secret", what["secretName"], what), 1, 0, 0o644)
        elif kind == "configMap":
            self._fill(name, self._picked("ConfigMap", what["name"], what), 1, 0, 0o644)
        elif kind == "projected":
            files: dict[str, bytes] = {}
            users = {self._user(one)[0] for one in self._containers()}
            for source in what["sources"]:
                if "configMap" in source:
                    told = source["configMap"]
                    files |= self._picked("ConfigMap", told["name"], told)
                else:
                    told = only(source["serviceAccountToken"], {"audience", "expirationSeconds", "path"})
                    made = self._cluster.token(self.spec["serviceAccountName"], told.get("audience", ""))
                    files[told["path"]] = made.encode()
            # A token is the one user's of the pod, or everybody's who has the volume.
            owner, mode = (users.pop(), 0o600) if len(users) == 1 else (0, 0o644)
            self._fill(name, files, 1, owner, mode)

    def _picked(self, kind: str, name: str, what: Object) -> dict[str, bytes]:
        held = self._cluster.files[kind, name]
        return {one["path"]: held[one["key"]] for one in what["items"]} if "items" in what else held

    def _fill(self, volume: str, files: dict[str, bytes], stamp: int, owner: int, mode: int) -> None:
        """Files as links through `..data` into a folder of their own: so all are replaced in one step."""
        packed, folder = io.BytesIO(), f"..{stamp}"
        with tarfile.open(fileobj=packed, mode="w") as archive:
            for path, data in files.items():
                entry = tarfile.TarInfo(f"{folder}/{path}")
                entry.size, entry.mode, entry.uid, entry.gid = len(data), mode, owner, 0
                archive.addfile(entry, io.BytesIO(data))
            for name, target in (("..data_tmp", folder), *((path, f"..data/{path}") for path in files)):
                link = tarfile.TarInfo(name)
                link.type, link.linkname = tarfile.SYMTYPE, target
                archive.addfile(link)
        script = f"cd /volumes/{volume} && tar -xf - && mv -T ..data_tmp ..data && chmod 755 . {folder}"
        docker("exec", "-i", self._holder, "sh", "-c", script, data=packed.getvalue())

    def _containers(self) -> list[Object]:
        return [*self.spec.get("initContainers", ()), *self.spec["containers"]]

    def _image(self, container: Object) -> str:
        return self._cluster.images[container["image"]]

    def _user(self, container: Object) -> tuple[int, int]:
        told = {**self.spec["securityContext"], **container["securityContext"]}
        assert told.get("runAsNonRoot") is None or told["runAsUser"] > 0
        return told["runAsUser"], told["runAsGroup"]

    def _run(self, container: Object) -> None:
        """Starts one container and waits for its startup probe, as often as the probe may fail."""
        only(container, CONTAINER)
        command, name = container.get("command"), container["name"]
        words = [*(command[1:] if command else ()), *container.get("args", ())]
        docker(
            "run", "-d", "--pull=never", "--label", self._cluster.label, "--name", self.container(name),
            "--network", f"container:{self._holder}", *self._rights(container), *self._limits(container),
            *(word for env in container.get("env", ()) for word in ("-e", _set(env))),
            *(word for mount in container["volumeMounts"] for word in ("-v", self._mount(mount))),
            *(("--entrypoint", command[0]) if command else ()), self._image(container), *words,
        )  # fmt: skip
        begin, probe = time.monotonic(), container["startupProbe"]
        limit = begin + probe["periodSeconds"] * probe["failureThreshold"]
        while told := self.probe(container, "startupProbe"):
            running = docker("inspect", "-f", "{{.State.Running}}", self.container(name)) == "true"
            assert running, f"{name} ended: {self.log(name)}"
            assert time.monotonic() < limit, f"{name} is not ready: {told}\n{self.log(name)}"
            time.sleep(0.2)
        self.took[name] = time.monotonic() - begin
        for kind in ("readinessProbe", "livenessProbe"):
            assert kind not in container or self.probe(container, kind) == ""

    def _rights(self, container: Object) -> list[str]:
        told = only({**self.spec["securityContext"], **container["securityContext"]}, RIGHTS)
        uid, gid = self._user(container)
        assert told["seccompProfile"] == {"type": "RuntimeDefault"}  # Docker's own, as without an option
        assert told["privileged"] is False
        changed = only(told["capabilities"], {"drop", "add"})
        words = ["--user", f"{uid}:{gid}"]
        words += [f"--cap-drop={one}" for one in changed.get("drop", ())]
        words += [f"--cap-add={one}" for one in changed.get("add", ())]
        words += ["--read-only"] if told["readOnlyRootFilesystem"] else []
        words += [] if told["allowPrivilegeEscalation"] else ["--security-opt", "no-new-privileges"]
        return words

    def _limits(self, container: Object) -> list[str]:
        limits = only(container["resources"]["limits"], {"cpu", "memory", "ephemeral-storage"})
        cpu = limits["cpu"]
        processors = int(cpu[:-1]) / 1000 if cpu.endswith("m") else float(cpu)
        memory = str(_bytes(limits["memory"]))
        return [f"--cpus={processors}", f"--memory={memory}", f"--memory-swap={memory}"]

    def _mount(self, mount: Object) -> str:
        only(mount, {"name", "mountPath", "subPath", "readOnly"})
        made = self._volumes[mount["name"]]
        if "subPath" in mount:
            made = self._below(mount["name"], mount["subPath"])
        return f"{made}:{mount['mountPath']}:nocopy" + (",ro" if mount.get("readOnly") else "")

    def _below(self, volume: str, path: str) -> str:
        """A folder in a volume, made like the volume's own if it is not there."""
        place = f"/volumes/{volume}"
        script = f'[ -d {place}/{path} ] || mkdir -m "$(stat -c %a {place})" {place}/{path}'
        docker("exec", self._holder, "sh", "-c", script)
        device = docker("volume", "inspect", "-f", "{{.Mountpoint}}", self._volumes[volume]) + f"/{path}"
        name = f"{self.name}-{volume}-below"
        options = ("--opt", "type=none", "--opt", "o=bind", "--opt", f"device={device}")
        return docker("volume", "create", "--label", self._cluster.label, *options, name)


def _bytes(text: str) -> int:
    return int(text[:-2]) * UNITS[text[-2:]]


def _set(env: Object) -> str:
    return f"{only(env, {'name', 'value'})['name']}={env['value']}"


def remove(label: str) -> None:
    """Removes everything with the label."""
    for kind, words in (("ps", ("-aq",)), ("volume", ("ls", "-q")), ("network", ("ls", "-q"))):
        found = docker(kind, *words, "--filter", f"label={label}").split()
        if found:
            docker(*(("rm", "-fv") if kind == "ps" else (kind, "rm")), *found, check=False)


def namespaced(account: str) -> str:
    """A service account's full name."""
    return f"system:serviceaccount:{NAMESPACE}:{account}"
