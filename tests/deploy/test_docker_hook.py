"""The hook of deploy/jupyterhub against the real slurm-token; the Hub and its spawner are stand-ins."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from deploy.jupyterhub import slurm_hook
from lab.slurm_token.keys import KeyFolder
from tests.deploy.hub_error import HTTPError
from tests.unit.slurm_token.world import Running, apis, claims, running

pytestmark = pytest.mark.usefixtures("tornado")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("slurm-token")
    keys = KeyFolder(folder / "keys")
    keys.make()
    with apis() as api, running(folder, keys, api) as one:
        yield one


SHARED_ENVIRONMENT = {"SLURM_CONTROLLER": "ctl"}
SHARED_HOST = {"mem_swappiness": 0}


def spawner(name: str, token: str = "") -> SimpleNamespace:
    """Of one user; what the Hub's configuration says is the same object for all of them."""
    return SimpleNamespace(
        user=SimpleNamespace(name=name), api_token=token or f"hub-token-of-{name}",
        environment=SHARED_ENVIRONMENT, read_only_volumes={}, extra_create_kwargs={},
        extra_host_config=SHARED_HOST,
    )  # fmt: skip


def url(service: Running) -> str:
    return f"http://127.0.0.1:{service.port}/v1/token/hub"


def test_each_server_gets_its_users_token_and_numbers_and_none_of_anothers(
    service: Running, tmp_path: Path
) -> None:
    hook = slurm_hook.for_docker(url(service), str(tmp_path / "tokens"))
    made = [spawner("alice"), spawner("bob")]
    for _ in range(2):  # a spawner starts its server again
        for one in made:
            asyncio.run(hook(one))  # type: ignore[arg-type]
    assert (SHARED_ENVIRONMENT, SHARED_HOST) == ({"SLURM_CONTROLLER": "ctl"}, {"mem_swappiness": 0})
    for one, number in zip(made, (2001, 2002), strict=True):
        name = one.user.name
        (folder, mounted), *more = one.read_only_volumes.items()
        assert (mounted, more) == ("/run/slurm-token", [])
        assert [path.name for path in Path(folder).iterdir()] == ["token"]
        assert claims((Path(folder) / "token").read_text().strip())[1]["sun"] == name
        assert one.environment == {
            "SLURM_CONTROLLER": "ctl", "SLURM_USER": f"{name}:{number}:{number}",
            "SLURM_JWT_FILE": "/run/slurm-token/token",
        }  # fmt: skip
        assert one.extra_create_kwargs == {"user": f"{number}:{number}"}
        assert one.extra_host_config["read_only"] is True
        assert one.extra_host_config["cap_drop"] == ["ALL"]
        assert f"uid={number}" in one.extra_host_config["tmpfs"]["/run/slurm"]
        assert "eyJ" not in repr(vars(one))


def test_nobody_else_of_the_host_reaches_the_tokens(service: Running, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.mkdir(mode=0o777)
    asyncio.run(slurm_hook.for_docker(url(service), str(tokens))(spawner("alice")))  # type: ignore[arg-type]
    assert stat.S_IMODE(tokens.stat().st_mode) == 0o700
    assert stat.S_IMODE((tokens / "alice" / "token").stat().st_mode) == 0o644


@pytest.mark.parametrize(
    ("name", "token", "said"),
    [
        ("alice", "hub-token-of-nobody-known", "the Hub does not know this token, or it has expired"),
        ("alice", "hub-token-of-bob", "slurm-token's answer is another user's"),
        ("root", "", "this account gets no token here"),
        ("stranger", "hub-token-of-a-stranger", "slurmctld's machine has no account of this name"),
    ],
)
def test_what_slurm_token_refuses_is_one_sentence_on_the_page(
    service: Running, tmp_path: Path, name: str, token: str, said: str
) -> None:
    hook = slurm_hook.for_docker(url(service), str(tmp_path / "tokens"))
    with pytest.raises(HTTPError) as caught:
        asyncio.run(hook(spawner(name, token)))  # type: ignore[arg-type]
    assert caught.value.status == 503
    assert said in str(caught.value)
    told = caught.value.jupyterhub_message
    assert told.startswith("Your server was not started: ")
    assert said in told
    assert not (tmp_path / "tokens" / name).exists()


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("http://127.0.0.1:1/v1/token/hub", "slurm-token does not answer (Connection refused)"),
        ("https://127.0.0.1:1/v1/token/hub", "slurm-token does not answer (Connection refused)"),
        ("nonsense", "slurm-token does not answer"),
    ],
)
def test_slurm_token_that_is_away_is_said(tmp_path: Path, address: str, said: str) -> None:
    with pytest.raises(HTTPError) as caught:
        asyncio.run(slurm_hook.for_docker(address, str(tmp_path))(spawner("alice")))  # type: ignore[arg-type]
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("status", "data"),
    [
        (200, b""),
        (200, b"[]"),
        (200, b'{"user": 7, "uid": 1, "gid": 1, "token": "t"}'),
        (200, b'{"user": "alice", "uid": "x", "gid": 1, "token": "t"}'),
        (200, b'{"user": "alice", "token": "t"}'),
        (500, b"<html>"),
        (200, b'{"user": "../alice", "uid": 1, "gid": 1, "token": "t"}'),
        (200, b'{"user": "alice", "uid": 0, "gid": 1, "token": "t"}'),
        (200, b'{"user": "alice", "uid": 1, "gid": 0, "token": "t"}'),
        (403, b'{"error": "a\\u001b[31mb"}'),
    ],
)
def test_an_answer_that_names_no_ordinary_account_starts_nothing(status: int, data: bytes) -> None:
    with pytest.raises(slurm_hook.NoTokenError) as caught:
        slurm_hook._account(status, data)
    assert str(caught.value).isprintable()
