"""Which engine we talk to: the one that the user's `docker` talks to, and with nothing of his settings."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from docker.errors import DockerException

from lab.backends.docker import assembly, engine
from lab.backends.docker.backend import DockerBackend
from lab.backends.docker.container_spec import chassis_of
from lab.backends.docker.endpoint import NO_SETTINGS, Endpoint, Tls, resolve
from lab.backends.docker.images import ImageStore
from lab.config.loader import load
from lab.errors import LabError
from tests.unit.backends.docker.conftest import Played

DEFAULT = "unix:///var/run/docker.sock"
PROXIES = {"default": {"httpProxy": "http://127.0.0.1:9", "noProxy": "172.16.0.0/12"}}


def context(folder: Path, name: str, host: str, *, tls: bool = False, **more: Any) -> None:
    """Makes a context as `docker context create` does."""
    key = hashlib.sha256(name.encode()).hexdigest()
    meta = folder / "contexts" / "meta" / key / "meta.json"
    meta.parent.mkdir(parents=True)
    meta.write_text(json.dumps({"Name": name, "Endpoints": {"docker": {"Host": host, **more}}}))
    if tls:
        files = folder / "contexts" / "tls" / key / "docker"
        files.mkdir(parents=True)
        for file in ("ca", "cert", "key"):
            (files / f"{file}.pem").write_text(file)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of Docker's settings with the contexts `here`, `far` and `safe`."""
    context(tmp_path, "here", "unix:///run/here.sock")
    context(tmp_path, "far", "ssh://me@far")
    context(tmp_path, "safe", "tcp://safe:2376", tls=True)
    context(tmp_path, "lax", "tcp://lax", SkipTLSVerify=True)
    return tmp_path


@pytest.mark.parametrize(
    ("environ", "chosen", "host", "origin"),
    [
        ({}, "", DEFAULT, ""),
        ({}, "default", DEFAULT, ""),
        ({}, "here", "unix:///run/here.sock", "context here"),
        ({"DOCKER_CONTEXT": "far"}, "here", "ssh://me@far", "context far"),
        ({"DOCKER_CONTEXT": "default"}, "here", DEFAULT, ""),
        ({"DOCKER_CONTEXT": ""}, "here", "unix:///run/here.sock", "context here"),
        ({"DOCKER_HOST": "unix:///a"}, "here", "unix:///a", "DOCKER_HOST"),
        ({"DOCKER_HOST": "unix:///a", "DOCKER_CONTEXT": "far"}, "", "unix:///a", "DOCKER_HOST"),
        ({"DOCKER_HOST": ""}, "here", "unix:///run/here.sock", "context here"),
        ({"DOCKER_HOST": "unix://"}, "", DEFAULT, "DOCKER_HOST"),
        ({"DOCKER_HOST": "far"}, "", "tcp://far:2375", "DOCKER_HOST"),
        ({"DOCKER_HOST": "tcp://far"}, "", "tcp://far:2375", "DOCKER_HOST"),
        ({"DOCKER_HOST": "tcp://far:99/x"}, "", "tcp://far:99/x", "DOCKER_HOST"),
        ({"DOCKER_HOST": "tcp://:99"}, "", "tcp://localhost:99", "DOCKER_HOST"),
        ({"DOCKER_HOST": "tcp://[::1]"}, "", "tcp://[::1]:2375", "DOCKER_HOST"),
        ({"DOCKER_HOST": "tcp://[::1]:99"}, "", "tcp://[::1]:99", "DOCKER_HOST"),
        ({"DOCKER_HOST": "ssh://me@far:22"}, "", "ssh://me@far:22", "DOCKER_HOST"),
        ({"DOCKER_TLS_VERIFY": "1"}, "", "tcp://localhost:2376", ""),
        ({"DOCKER_TLS_VERIFY": "1"}, "here", "unix:///run/here.sock", "context here"),
    ],
)
def test_the_engine_is_found_as_docker_finds_it(
    folder: Path, environ: dict[str, str], chosen: str, host: str, origin: str
) -> None:
    (folder / "config.json").write_text(json.dumps({"currentContext": chosen} if chosen else {}))
    found = resolve({"DOCKER_CONFIG": str(folder), **environ})
    assert (found.host, found.origin) == (host, origin)


def test_the_settings_are_in_the_home_folder_by_default(tmp_path: Path) -> None:
    docker = tmp_path / ".docker"
    context(docker, "here", "unix:///run/here.sock")
    (docker / "config.json").write_text('{"currentContext": "here"}')
    assert resolve({"HOME": str(tmp_path)}).socket == "/run/here.sock"


def test_tls_comes_from_the_environment_or_from_the_context_never_from_both(folder: Path) -> None:
    environ = {"DOCKER_CONFIG": str(folder)}
    files = folder / "contexts" / "tls" / hashlib.sha256(b"safe").hexdigest() / "docker"
    safe = Tls(True, *(str(files / f"{name}.pem") for name in ("ca", "cert", "key")))
    assert resolve({**environ, "DOCKER_CONTEXT": "safe"}).tls == safe
    assert resolve({**environ, "DOCKER_CONTEXT": "lax"}).tls == Tls(False)
    for more in ({"DOCKER_TLS_VERIFY": "1"}, {"DOCKER_TLS": "1"}):
        assert resolve({**environ, **more, "DOCKER_CONTEXT": "safe"}).tls == safe
        assert resolve({**environ, **more, "DOCKER_HOST": "unix:///a"}).tls is None
    (folder / "ca.pem").write_text("ca")
    assert resolve({**environ, "DOCKER_HOST": "h", "DOCKER_TLS_VERIFY": "0"}).tls == Tls(
        True, str(folder / "ca.pem")
    )
    certificates = {"DOCKER_CERT_PATH": str(files), "DOCKER_HOST": "h", "DOCKER_TLS": "1"}
    assert resolve({**environ, **certificates}).tls == Tls(False, safe.ca, safe.cert, safe.key)


def test_the_command_needs_nothing_of_the_environment_and_of_the_users_files(folder: Path) -> None:
    environ = {"DOCKER_CONFIG": str(folder), "DOCKER_CONTEXT": "safe", "DOCKER_TLS_VERIFY": "1"}
    words = resolve(environ).command(environ)
    assert words[:4] == ["env", "-u", "DOCKER_TLS_VERIFY", "docker"]
    assert words[4:8] == ["--config", str(NO_SETTINGS), "--host", "tcp://safe:2376"]
    assert [word for word in words if word.startswith("--tls")] == [
        "--tlsverify",
        "--tlscacert",
        "--tlscert",
        "--tlskey",
    ]
    assert resolve({}).command({}) == ["docker", "--config", str(NO_SETTINGS), "--host", DEFAULT]
    found = json.loads((NO_SETTINGS / "config.json").read_text())
    assert set(found) == {"detachKeys"}
    assert "ctrl-p" not in found["detachKeys"]  # a shell's key for the command before


def test_shells_go_to_the_engine_that_the_api_talks_to(
    folder: Path, monkeypatch: pytest.MonkeyPatch, played: Played
) -> None:
    context(folder, "played", f"unix://{played.path}")
    played.answers = {"/v1.41/_ping": b"OK"}
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    monkeypatch.setenv("DOCKER_CONTEXT", "played")
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    backend = DockerBackend()
    argv = backend.shell("l", "c1", ["true"], user="root", tty=False)
    assert argv[argv.index("--host") + 1] == f"unix://{played.path}"
    assert backend.client.ping()
    backend.client.close()
    monkeypatch.delenv("DOCKER_CONTEXT")  # found once, and then kept
    assert argv == backend.shell("l", "c1", ["true"], user="root", tty=False)


@pytest.mark.parametrize(
    ("environ", "message", "evidence"),
    [
        ({"DOCKER_CONTEXT": "gone"}, "Docker's context gone does not exist", "DOCKER_CONTEXT names it"),
        ({"DOCKER_CONTEXT": "broken"}, "cannot read Docker's context broken", "meta.json"),
        ({"DOCKER_CONTEXT": "empty"}, "cannot read Docker's context empty", "meta.json"),
        ({"DOCKER_HOST": "http://x"}, "DOCKER_HOST names no engine: http://x", "tcp://HOST:PORT"),
        ({"DOCKER_CONTEXT": "odd"}, "context odd names no engine: what://x", "ssh://USER@HOST"),
    ],
)
def test_an_engine_that_cannot_be_found_is_an_error_with_a_way_out(
    folder: Path, environ: dict[str, str], message: str, evidence: str
) -> None:
    context(folder, "odd", "what://x")
    for name, text in (("broken", "{"), ("empty", '{"Endpoints": null}')):
        context(folder, name, "unix:///x")
        key = hashlib.sha256(name.encode()).hexdigest()
        (folder / "contexts" / "meta" / key / "meta.json").write_text(text)
    with pytest.raises(LabError) as caught:
        resolve({"DOCKER_CONFIG": str(folder), **environ})
    assert caught.value.message == message
    assert evidence in caught.value.evidence
    assert caught.value.hint.startswith("docker context ls")


def test_settings_that_cannot_be_read_are_passed_over_as_docker_does(tmp_path: Path) -> None:
    for text in ("{", "[]", '{"currentContext": 7}', "\udcff"):
        (tmp_path / "config.json").write_bytes(text.encode("utf-8", "surrogateescape"))
        assert resolve({"DOCKER_CONFIG": str(tmp_path)}) == Endpoint(DEFAULT)


@pytest.mark.parametrize(
    ("host", "hint"),
    [("unix:///run/none", "./quickstart starts it"), ("tcp://127.0.0.1:1", "docker version shows")],
)
def test_an_engine_that_does_not_answer_is_named_with_what_named_it(
    monkeypatch: pytest.MonkeyPatch, host: str, hint: str
) -> None:
    def silent(*_: object) -> None:
        raise DockerException("connection refused\nmore")

    monkeypatch.setattr("lab.backends.docker.sdk.Client", silent)
    with pytest.raises(LabError, match="does not answer") as caught:
        engine.connect(Endpoint(host, "context x"))
    assert caught.value.evidence == f"{host} (context x): connection refused"
    assert caught.value.hint.startswith(hint)


@pytest.mark.parametrize(
    "settings",
    [
        {"proxies": PROXIES},
        {"auths": {"registry.example": {"auth": "bm90IGE="}}, "proxies": PROXIES},  # refused by the SDK
        {"credsStore": "missing", "HttpHeaders": {"X-Mine": "1"}, "proxies": PROXIES},
        {"credHelpers": {"registry.example": "missing"}, "proxies": PROXIES},
    ],
)
def test_nodes_and_images_get_nothing_of_the_users_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, played: Played, settings: dict[str, object]
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(settings))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{played.path}")
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    played.answers = {
        "/v1.41/_ping": b"OK",
        "/v1.41/containers/create": b'{"Id": "7"}',
        "/v1.41/containers/rackling-l-c1/start": b"",
        "/v1.41/build": b'{"stream": "done"}',
    }
    spec = load(None, [], {}, "l")
    node = spec.node("c1")
    client = engine.connect()
    assembly.make_node(client, spec, node, chassis_of(spec, node, "image"), 2)
    assembly.make_switch(client, spec, "image")
    context_file = tmp_path / "context.tar"
    context_file.write_bytes(b"tar")
    store = ImageStore()
    store.build(context_file, "rackling/x:y", {"BASE": "b"})
    store.client.close()
    client.close()
    told = json.dumps(played.asked) + json.dumps(played.headers)
    assert "127.0.0.1:9" not in told
    assert "proxy" not in told.lower()
    assert not {"X-Mine", "X-Registry-Config"} & {header for found in played.headers for header in found}
    build = next(query for _, path, query in played.asked if path == "/v1.41/build")
    assert json.loads(build["buildargs"]) == {"BASE": "b"}
