"""Signing keys: several are valid, one signs, none is lost or shown by a rotation that is cut short."""

from __future__ import annotations

import json
import stat
import time
from pathlib import Path

import pytest

from lab.slurm_token.errors import TokenError
from lab.slurm_token.issue import issue
from lab.slurm_token.keys import LONGEST, KeyFolder
from tests.unit.slurm_token.world import claims, verified


@pytest.fixture
def folder(tmp_path: Path) -> KeyFolder:
    made = KeyFolder(tmp_path / "keys")
    made.make()
    return made


def public(folder: KeyFolder) -> list[str]:
    return [key["kid"] for key in json.loads((folder.path / "jwks.json").read_text())["keys"]]


def test_a_rotation_keeps_every_living_token_valid(
    folder: KeyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = folder.read().signing
    before = issue(folder, "alice", 600).token
    new = folder.add().kid
    assert folder.read().signing == old
    assert public(folder) == [old, new]
    folder.use(new)
    after = issue(folder, "alice", 600).token
    assert [claims(token)[0]["kid"] for token in (before, after)] == [old, new]
    assert all(verified(token, folder.path / "jwks.json") for token in (before, after))
    with pytest.raises(TokenError, match="may live for"):
        folder.drop(old)
    now = time.time()
    monkeypatch.setattr("lab.slurm_token.keys.time.time", lambda: now + LONGEST + 1)
    folder.drop(old)
    assert public(folder) == [new]
    assert not verified(before, folder.path / "jwks.json")
    assert sorted(path.name for path in folder.path.iterdir()) == [
        f"{new}.pem", "jwks.json", "lock", "state.json"
    ]  # fmt: skip


def test_the_key_that_signs_is_not_dropped(folder: KeyFolder) -> None:
    with pytest.raises(TokenError, match="is the key that signs"):
        folder.drop(folder.read().signing, force=True)


def test_a_stolen_key_goes_at_once(folder: KeyFolder) -> None:
    old, new = folder.read().signing, folder.add().kid
    folder.use(new)
    folder.drop(old, force=True)
    assert public(folder) == [new]


@pytest.mark.parametrize("kid", ["x", "../../etc/passwd", "20261130-00000000", ""])
def test_unknown_keys_are_refused(folder: KeyFolder, kid: str) -> None:
    for act in (folder.use, folder.drop):
        with pytest.raises(TokenError, match="there is no key"):
            act(kid)


def test_private_keys_are_private_and_public_ones_hold_no_secret(folder: KeyFolder) -> None:
    kid = folder.read().signing
    assert stat.S_IMODE((folder.path / f"{kid}.pem").stat().st_mode) == 0o600
    assert stat.S_IMODE((folder.path / "state.json").stat().st_mode) == 0o600
    (key,) = json.loads((folder.path / "jwks.json").read_text())["keys"]
    assert set(key) == {"kty", "alg", "use", "kid", "n", "e"}
    (folder.path / f"{kid}.pem").chmod(0o640)
    with pytest.raises(TokenError, match="others may read the private key"):
        issue(folder, "alice", 600)


def test_a_rotation_that_is_killed_leaves_the_old_keys(
    folder: KeyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(self: KeyFolder, name: str, content: object, mode: int) -> None:
        raise KeyboardInterrupt

    before = folder.read()
    with monkeypatch.context() as patch:
        patch.setattr(KeyFolder, "_replace", killed)
        with pytest.raises(KeyboardInterrupt):
            folder.add()
    assert folder.read() == before
    assert folder.add().kid in public(folder)


@pytest.mark.parametrize(
    "text",
    ["", "{}", '{"keys": [], "signing": "x"}', '{"keys": [{"kid": "../x", "made": 1}], "signing": "../x"}'],
)
def test_a_damaged_folder_is_said(folder: KeyFolder, text: str) -> None:
    (folder.path / "state.json").write_text(text)
    with pytest.raises(TokenError, match=r"state\.json"):
        folder.read()


@pytest.mark.parametrize(("asked", "given"), [(1, 60), (600, 600), (10**9, LONGEST), (-5, 60)])
def test_lives_are_bounded(folder: KeyFolder, asked: int, given: int) -> None:
    body = claims(issue(folder, "alice", asked).token)[1]
    assert body["exp"] - body["iat"] == given


def test_a_token_is_in_no_repr(folder: KeyFolder) -> None:
    made = issue(folder, "alice", 600)
    assert made.token not in repr(made)


def test_without_openssl_the_remedy_is_said(folder: KeyFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr("lab.slurm_token.openssl.subprocess.run", missing)
    with pytest.raises(TokenError, match="openssl is not installed"):
        folder.add()
