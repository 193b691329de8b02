"""Tokens: claims that are read, and text that is not a token."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.siphon.auth import jwt
from tests.unit.siphon.recordings import BY_NAME as ALL
from tests.unit.siphon.recordings import sent, unbase64
from tests.unit.siphon.tokens import made_token


@pytest.mark.parametrize("release", ["20.11", "22.05", "24.11", "26.05"])
def test_claims_are_read_without_the_key(release: str) -> None:
    for case, user in (("client-set", "alice"), ("slurmd-set", "slurm")):
        token = sent(ALL[f"{release}_jwt_{case}"])
        found = jwt.read_claims(token)
        body = json.loads(unbase64(token.split(b".")[1]))
        assert found.user == body["sun"] == user
        assert found.expires == body["exp"]


@pytest.mark.parametrize(
    ("body", "user", "expires"),
    [
        (b'{"exp": 5, "sun": "a"}', "a", 5.0),
        (b'{"exp": 5.5, "username": "b"}', "b", 5.5),
        (b'{"exp": true, "sun": 3}', None, None),
        (b'{"exp": 1' + b"0" * 400 + b"}", None, math.inf),
        (b'{"exp": 1e400}', None, math.inf),
        (b"{}", None, None),
        (b'  {"a": {"exp": 1}, "b": [1, "exp"]}  ', None, None),
    ],
)
def test_claims_may_be_few(body: bytes, user: str | None, expires: float | None) -> None:
    claims = jwt.read_claims(made_token(body))
    assert (claims.user, claims.expires) == (user, expires)


@given(st.binary(max_size=60))
def test_only_token_errors_come_out_of_noise(data: bytes) -> None:
    for token in (data, made_token(data)):
        try:
            jwt.read_claims(token)
        except jwt.TokenError:
            continue
