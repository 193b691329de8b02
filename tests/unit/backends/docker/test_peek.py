"""Quick questions to the engine: what is asked, what comes back, and what is said when nobody answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.backends.docker import node_exec
from lab.backends.docker.backend import DockerBackend
from lab.backends.docker.no_answer import no_answer_hint
from lab.backends.docker.peek import Peek
from lab.errors import LabError
from tests.unit.backends.docker.conftest import Played


def frame(stream: int, data: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(data).to_bytes(4, "big") + data


def test_listings_hand_filters_over_as_the_api_wants_them(played: Played) -> None:
    played.answers = {"/v1.41/containers/json": b"[{}]", "/v1.41/images/json": b"[]", "/v1.41/volumes": b"{}"}
    peek = Peek(str(played.path))
    assert peek.containers(all=True, filters={"label": ["a=b"]}) == [{}]
    assert peek.images("some", filters={"label": ["a"]}) == []
    assert peek.volumes(filters={"label": ["a"]}) == {}
    queries = [query for _, _, query in played.asked]
    assert queries[0] == {"all": "1", "filters": '{"label": ["a=b"]}'}
    assert json.loads(queries[1]["filters"]) == {"label": ["a"], "reference": ["some"]}


def test_a_command_gives_both_its_outputs_and_its_status(played: Played) -> None:
    played.answers = {
        "/v1.41/containers/c/exec": b'{"Id": "7"}',
        "/v1.41/exec/7/start": frame(1, b"one") + frame(2, b"bad") + frame(1, b" two"),
        "/v1.41/exec/7/json": b'{"ExitCode": 0}',
    }
    assert node_exec.output(Peek(str(played.path)), "c", ["a", "b"]) == b"one two"
    assert played.asked[0] == (
        "POST",
        "/v1.41/containers/c/exec",
        {"Cmd": ["a", "b"], "AttachStdout": True, "AttachStderr": True},
    )
    played.answers["/v1.41/exec/7/json"] = b'{"ExitCode": 3}'
    with pytest.raises(LabError) as caught:
        node_exec.output(Peek(str(played.path)), "c", ["a", "b"])
    assert caught.value.evidence == "badone two"


def test_a_record_is_a_volume_that_is_made_and_removed(played: Played) -> None:
    played.answers = {"/v1.41/volumes/create": b"{}", "/v1.41/volumes/v": b""}
    Peek(str(played.path)).create_volume("v", labels={"a": "b"})
    Peek(str(played.path)).remove_volume("v", force=True)
    assert played.asked == [
        ("POST", "/v1.41/volumes/create", {"Name": "v", "Labels": {"a": "b"}}),
        ("DELETE", "/v1.41/volumes/v", {"force": "1"}),
    ]


def test_a_refusal_and_a_silent_engine_are_told_apart(played: Played, tmp_path: Path) -> None:
    with pytest.raises(LabError, match="Docker refused: GET /images/x/history") as caught:
        Peek(str(played.path)).history("x")
    assert caught.value.evidence == "no such thing"
    with pytest.raises(LabError, match="does not answer") as caught:
        Peek(str(tmp_path / "nobody")).volumes(filters={})
    assert "quickstart" in caught.value.hint


@pytest.mark.parametrize(
    ("evidence", "members", "hint"),
    [
        ("[Errno 2] No such file or directory", ["me"], "./quickstart starts it; "),
        ("[Errno 13] Permission denied", ["you", "me"], "newgrp docker "),
        (
            "[Errno 13] Permission denied",
            ["you"],
            "./quickstart; or: sudo usermod -aG docker me, then newgrp docker",
        ),
        ("PermissionError(13, 'Permission denied')", None, "./quickstart; or: sudo usermod -aG docker me"),
    ],
)
def test_who_may_not_ask_the_engine_learns_how_to_be_allowed(
    monkeypatch: pytest.MonkeyPatch, evidence: str, members: list[str] | None, hint: str
) -> None:
    def group(name: str) -> SimpleNamespace:
        if members is None:
            raise KeyError(name)
        return SimpleNamespace(gr_mem=members)

    monkeypatch.setattr("lab.backends.docker.no_answer.account_name", lambda: "me")
    monkeypatch.setattr("grp.getgrnam", group)
    assert no_answer_hint(evidence).startswith(hint)


@pytest.mark.parametrize(
    ("host", "quick"), [(None, True), ("unix:///run/other.sock", True), ("tcp://elsewhere:2376", False)]
)
def test_only_an_engine_on_this_machine_is_peeked_at(
    monkeypatch: pytest.MonkeyPatch, host: str | None, quick: bool
) -> None:
    sdk: Any = SimpleNamespace(timeout=0)
    monkeypatch.setattr("lab.backends.docker.engine.connect", lambda _endpoint: sdk)
    if host is None:
        monkeypatch.delenv("DOCKER_HOST", raising=False)
        monkeypatch.setenv("DOCKER_CONFIG", "/nonexistent")
    else:
        monkeypatch.setenv("DOCKER_HOST", host)
    backend = DockerBackend()
    assert isinstance(backend.engine, Peek) == quick
    assert backend.client is sdk
    assert backend.engine is backend.client  # loaded anyway: then it does all


def test_looking_at_a_lab_loads_no_sdk(played: Played) -> None:
    played.answers = {
        "/v1.41/containers/json": b"[]",
        "/v1.41/images/json": b"[]",
        "/v1.41/volumes": b'{"Volumes": null}',
    }
    code = (
        "import sys\nfrom lab.backends.docker.backend import DockerBackend\n"
        "assert DockerBackend().labs() == ()\nprint('docker' in sys.modules or 'requests' in sys.modules)"
    )
    env = {**os.environ, "DOCKER_HOST": f"unix://{played.path}"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=False)
    assert done.stdout == "False\n", done.stderr


def test_an_answer_without_end_is_an_error(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.backends.docker.peek.MOST", 1 << 20)
    played.answers["/v1.41/exec/1/start"] = frame(1, b"y\n" * (1 << 20))
    with pytest.raises(LabError, match="more than 1 MiB"):
        Peek(str(played.path)).exec_start("1", demux=True)
