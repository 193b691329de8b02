"""What a user's server may tell the Hub: one port. Everything else is refused, whatever it looks like."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.slurm_hub.callback import HIGHEST, LONGEST, LOWEST, CallbackError, port_of


@pytest.mark.parametrize("port", [LOWEST, 8888, HIGHEST])
def test_a_port_is_taken(port: int) -> None:
    assert port_of(json.dumps({"port": port}).encode()) == port


@pytest.mark.parametrize("value", ["-1", "0", "22", "1023", "65536", "1" * 30, "8888.0", "8.888e3", "-8888"])
def test_a_number_that_is_no_port_of_a_user_is_refused(value: str) -> None:
    with pytest.raises(CallbackError):
        port_of(b'{"port": ' + value.encode() + b"}")


@pytest.mark.parametrize(
    "value", ['"8888"', "true", "null", "[8888]", '{"port": 8888}', "NaN", "Infinity", "-Infinity", '"; id"']
)
def test_what_is_no_number_is_refused(value: str) -> None:
    with pytest.raises(CallbackError):
        port_of(b'{"port": ' + value.encode() + b"}")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"8888",
        b"[8888]",
        b'"port"',
        b"{}",
        b'{"Port": 8888}',
        b'{"port": 8888, "ip": "127.0.0.1"}',
        b'{"ip": "127.0.0.1", "port": 8888}',
        b'{"cmd": "", "port": 8888}',
        b'{"port": 22, "port": 8888}',
        b'{"port": 8888, "port": 8888}',
        b'{"port": 8888} {}',
        b'{"port": 8888',
        b'{"p\\u006frt": 8888, "port": 8889}',
        b"\xff\xfe",
        '{"port": \uff18\uff18\uff18\uff18}'.encode(),
        '{"port": 8888}'.encode("utf-16"),
        b"\0" * 16,
    ],
)
def test_any_other_message_is_refused(body: bytes) -> None:
    with pytest.raises(CallbackError):
        port_of(body)


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"port": 8888}' + b" " * LONGEST, b'{"a":' * 50_000])
def test_a_long_message_is_not_even_read(body: bytes) -> None:
    with pytest.raises(CallbackError, match="bytes"):
        port_of(body)


@given(st.binary(max_size=2 * LONGEST))
def test_whatever_comes_is_a_port_or_an_error_that_repeats_nothing(body: bytes) -> None:
    with pytest.raises(CallbackError) as caught:
        raise CallbackError(f"port {port_of(body)}")
    assert str(caught.value).isascii()
    assert len(str(caught.value)) < LONGEST


@given(st.dictionaries(st.text(max_size=8), st.integers(), max_size=3))
def test_an_object_with_other_keys_is_refused(told: dict[str, int]) -> None:
    if list(told) == ["port"]:
        return
    with pytest.raises(CallbackError):
        port_of(json.dumps(told).encode())
