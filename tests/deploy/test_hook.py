"""The hook of zero-to-jupyterhub against a real slurm-token, which asks a Hub; and the values beside it."""

from __future__ import annotations

import asyncio
import http.server
import importlib.util
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from lab.slurm_token.keys import KeyFolder
from tests.deploy.charts import HUB, HUB_VALUES
from tests.deploy.hub_error import HTTPError
from tests.deploy.tls import certify, context
from tests.unit.slurm_token.world import Running, apis, running


@pytest.fixture(scope="session")
def hook() -> ModuleType:
    spec = importlib.util.spec_from_file_location("slurm_hook", HUB / "slurm_hook.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certify(tmp_path_factory.mktemp("tls"), "localhost")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, certificate: Path) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("service")
    folder.chmod(0o755)
    keys = KeyFolder(folder / "keys")
    keys.make()
    with apis() as api, running(folder, keys, api, tls=context(certificate)) as one:
        yield one


def spawner(name: str, token: str) -> Any:
    """What of a KubeSpawner the hook reads and sets."""
    return SimpleNamespace(
        user=SimpleNamespace(name=name), api_token=token, environment={"LANG": "C.UTF-8"},
        volumes={"tmp": {"name": "tmp", "emptyDir": {}}}, volume_mounts=[],
    )  # fmt: skip


def told(service: Running, **changed: object) -> dict[str, Any]:
    """The hook's part of the values, with the service's address."""
    slurm = dict(HUB_VALUES["custom"]["slurm"])
    url = f"https://localhost:{service.port}/v1/token/hub"
    return {**slurm, "tokenUrl": url, **changed}


def test_a_users_pod_is_the_users(hook: ModuleType, service: Running, certificate: Path) -> None:
    one = spawner("alice", "hub-token-of-alice")
    asyncio.run(hook.pre_spawn(one, told(service), str(certificate)))
    assert (one.uid, one.gid) == (2001, 2001)
    assert one.environment == {
        "LANG": "C.UTF-8", "SLURM_USER": "alice:2001:2001", "SLURM_CONTROLLER": "ctl.hpc.example.com",
        "SLURM_TOKEN_URL": f"https://localhost:{service.port}/v1/token/hub",
        "SLURM_TOKEN_CA": "/run/slurm-token/ca/ca.crt", "HOME": "/home/alice",
    }  # fmt: skip
    assert one.volumes["home"]["persistentVolumeClaim"] == {"claimName": "homes"}
    assert one.volume_mounts == [{"name": "home", "mountPath": "/home/alice", "subPath": "alice"}]
    line = service.audit()[-1]
    assert (line["event"], line["how"], line["account"]) == ("issued", "hub", "alice")
    assert "eyJ" not in repr(vars(one)), "a pod's description holds no Slurm token"


@pytest.mark.parametrize(
    ("name", "token", "sentence"),
    [
        ("bob", "hub-token-of-alice", "slurm-token answered for another user"),
        ("alice", "hub-token-that-expired", "slurm-token refused: the Hub does not know this token"),
        ("stranger", "hub-token-of-a-stranger", "slurm-token refused: slurmctld's machine has no account"),
        ("{username}", "hub-token-of-alice", "slurm-token answered for another user"),
        ("alice", "hub-token-of-root", "slurm-token refused: this account gets no token here"),
    ],
)
def test_who_has_no_account_gets_a_sentence_and_no_server(
    hook: ModuleType, service: Running, certificate: Path, name: str, token: str, sentence: str
) -> None:
    one = spawner(name, token)
    before = dict(vars(one))
    with pytest.raises(hook.NoServer) as refused:
        asyncio.run(hook.pre_spawn(one, told(service), str(certificate)))
    assert sentence in str(refused.value)
    assert token not in str(refused.value)
    assert vars(one) == before


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"tokenUrl": ""}, "the Hub was not told custom.slurm.tokenUrl"),
        ({"controller": None}, "the Hub was not told custom.slurm.controller"),
        ({"homes": ""}, "the Hub was not told custom.slurm.homes"),
        ({"tokenUrl": "http://localhost/v1/token/hub"}, "without TLS (custom.slurm.tokenUrl)"),
        ({"tokenUrl": "https://localhost:1/v1/token/hub"}, "slurm-token does not answer the Hub"),
    ],
)
def test_what_the_hub_was_told_wrong_is_said(
    hook: ModuleType, service: Running, certificate: Path, changed: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(hook.NoServer) as refused:
        asyncio.run(
            hook.pre_spawn(spawner("alice", "hub-token-of-alice"), told(service, **changed), str(certificate))
        )
    assert sentence in str(refused.value)


def test_a_service_that_is_not_certified_gets_no_token(
    hook: ModuleType, service: Running, tmp_path: Path
) -> None:
    wrong = certify(tmp_path, "localhost")
    before = len(service.audit())
    url = told(service)["tokenUrl"]
    with pytest.raises(hook.NoServer, match="does not answer"):
        hook.account_of(url, "hub-token-of-alice", str(wrong))
    with pytest.raises(hook.NoServer, match="no certificate for slurm-token"):
        hook.account_of(url, "hub-token-of-alice", str(tmp_path / "none"))
    assert len(service.audit()) == before


class _Elsewhere(http.server.BaseHTTPRequestHandler):
    """Sends whoever asks to another address, and notes who came there."""

    came: list[str]

    def do_GET(self) -> None:
        self.came.append(self.path)

    def do_POST(self) -> None:
        self.send_response(307)
        self.send_header("Location", "/taken")
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.came.append(self.path)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def answering(handler: type[http.server.BaseHTTPRequestHandler], certificate: Path) -> Iterator[str]:
    """A service in the place of slurm-token: its address."""
    with http.server.HTTPServer(("127.0.0.1", 0), handler) as server:
        server.socket = context(certificate).wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"https://localhost:{server.server_address[1]}/x"
        finally:
            server.shutdown()
            thread.join()


def test_the_hubs_token_follows_no_redirect(hook: ModuleType, certificate: Path) -> None:
    _Elsewhere.came = []
    with (
        answering(_Elsewhere, certificate) as url,
        pytest.raises(hook.NoServer, match="slurm-token refused: status 307"),
    ):
        hook.account_of(url, "secret", str(certificate))
    assert _Elsewhere.came == ["/x"]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"no HTTP\r\n\r\n", "does not answer"),
        (b"HTTP/1.0 200 OK\r\n\r\n" + b"[" * 60_000, "does not answer"),
        (b"HTTP/1.0 403 No\r\n\r\n" + b"[" * 60_000, "slurm-token refused: status 403"),
    ],
    ids=["no-http", "deep", "deep-refusal"],
)
def test_what_answers_in_place_of_slurm_token_gets_a_sentence(
    hook: ModuleType, certificate: Path, data: bytes, sentence: str
) -> None:
    class Other(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    with answering(Other, certificate) as url, pytest.raises(hook.NoServer, match=sentence):
        hook.account_of(url, "secret", str(certificate))


def test_the_hub_answers_while_the_hook_waits(hook: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """slurm-token asks the Hub in the middle of it: a Hub that stood still would refuse every user."""
    asked = threading.Event()

    def waiting(*_: object) -> Any:
        assert asked.wait(20), "the Hub stands still"
        return hook.Account("alice", 7, 8)

    async def both() -> None:
        spawning = asyncio.ensure_future(hook.pre_spawn(spawner("alice", "x"), HUB_VALUES["custom"]["slurm"]))
        await asyncio.sleep(0)
        asked.set()
        await spawning

    monkeypatch.setattr(hook, "account_of", waiting)
    asyncio.run(both())


@pytest.mark.parametrize("name", ["", "dummy", "jupyterhub.auth.DummyAuthenticator"])
def test_a_hub_that_lets_everybody_in_does_not_start(hook: ModuleType, name: str) -> None:
    with pytest.raises(SystemExit, match="lets everybody in under every name"):
        hook.configure(SimpleNamespace(), {}, name)


@pytest.mark.usefixtures("tornado")
def test_the_chart_runs_the_file_as_its_configuration(service: Running) -> None:
    """zero-to-jupyterhub runs each file of jupyterhub_config.d with `exec` among its own names."""
    path = HUB / "slurm_hook.py"
    assert HUB_VALUES["hub"]["extraFiles"]["slurm"]["mountPath"].startswith(
        "/usr/local/etc/jupyterhub/jupyterhub_config.d/"
    )
    found = {
        "custom.slurm": told(service, homes=""),
        "hub.config.JupyterHub.authenticator_class": "generic-oauth",
    }
    config = SimpleNamespace(Spawner=SimpleNamespace())
    names = {"c": config, "get_config": lambda key, default=None: found.get(key, default)}
    exec(compile(path.read_text(encoding="utf-8"), path.name, "exec"), names)  # noqa: S102 - as the chart does
    with pytest.raises(HTTPError, match=r"503: the Hub was not told custom\.slurm\.homes") as refused:
        asyncio.run(config.Spawner.pre_spawn_hook(spawner("mallory", "x")))
    assert refused.value.jupyterhub_message == "the Hub was not told custom.slurm.homes"


@pytest.mark.parametrize(
    "answer",
    [
        {"user": "alice", "uid": 0, "gid": 5},
        {"user": "alice", "uid": 5, "gid": 0},
        {"user": "../root", "uid": 5, "gid": 5},
        {"user": "a{b}", "uid": 5, "gid": 5},
    ],
)
def test_an_answer_that_names_no_ordinary_account_starts_nothing(
    hook: ModuleType, answer: dict[str, object]
) -> None:
    with pytest.raises(hook.NoServer, match="names no ordinary account"):
        hook._account(answer)


def test_the_values_are_as_strict_as_our_charts() -> None:
    user, spawning = HUB_VALUES["singleuser"], HUB_VALUES["hub"]["config"]["KubeSpawner"]
    assert spawning["pod_security_context"] == {
        "runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"},
    }  # fmt: skip
    assert spawning["container_security_context"] == {
        "privileged": False, "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    assert spawning["automount_service_account_token"] is False
    assert {*spawning["extra_container_config"]} == {"startupProbe"}, "a Hub that is away would end notebooks"
    assert user["cloudMetadata"]["blockWithIptables"] is False, "a privileged container in each pod"
    assert user["fsGid"] is None
    assert "extraFiles" not in user, "one Secret of all users"
    assert {*user["memory"], *user["cpu"]} == {"limit", "guarantee"}
    (rule,) = user["networkPolicy"]["egress"]
    assert [one["port"] for one in rule["ports"]] == [6817, 6819, 8443]
    assert HUB_VALUES["hub"]["config"]["JupyterHub"]["authenticator_class"] == ""
    kinds = {kind for one in user["storage"]["extraVolumes"] for kind in {*one} - {"name"}}
    assert kinds == {"emptyDir", "configMap"}
