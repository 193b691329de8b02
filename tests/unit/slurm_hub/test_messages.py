"""What `hub-server run` shows of a user's kernel: its output, and nothing that a terminal would act on."""

from __future__ import annotations

import json

import pytest

from lab.slurm_hub.messages import DIED, execute, show, shown


def message(kind: str, content: object, parent: object = "mine") -> str:
    return json.dumps({"header": {"msg_type": kind}, "parent_header": {"msg_id": parent}, "content": content})


def test_output_is_shown_until_the_kernel_is_idle(capsys: pytest.CaptureFixture[str]) -> None:
    assert show(message("stream", {"text": "one\n"}), "mine") is None
    assert show(message("stream", {"text": "of another\n"}, "other"), "mine") is None
    assert show(message("status", {"execution_state": "busy"}), "mine") is None
    assert show(message("status", {"execution_state": "idle"}, "other"), "mine") is None
    assert show(message("status", {"execution_state": "idle"}), "mine") == 0
    assert capsys.readouterr().out == "one\n"


def test_an_error_is_a_status(capsys: pytest.CaptureFixture[str]) -> None:
    assert show(message("error", {"ename": "MemoryError", "evalue": ""}), "mine") == 1
    assert capsys.readouterr().out == "MemoryError: \n"


def test_a_kernel_that_died_is_told_whoever_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert show(message("status", {"execution_state": "restarting"}, "other"), "mine") == 1
    assert capsys.readouterr().out == f"{DIED}\n"


@pytest.mark.parametrize(
    "line",
    [
        "",
        "[]",
        "null",
        "{}",
        '{"header": 1}',
        b"\xff",
        "[" * 100_000,
        message("stream", {"text": 1}),
        message("stream", None),
        message("error", {}),
        message("status", []),
    ],
)
def test_what_is_no_message_is_passed_over(line: str | bytes, capsys: pytest.CaptureFixture[str]) -> None:
    assert show(line, "mine") is None
    assert capsys.readouterr().out == ""


def test_a_terminal_gets_text_only() -> None:
    assert shown("\x1b[2J\x07\ttab\nline\r\u202e\x9b") == "?[2J?\ttab\nline???"


def test_each_request_has_a_number_of_its_own() -> None:
    first, other = execute("1"), execute("1")
    assert first["content"]["code"] == "1"
    assert first["header"]["msg_id"] != other["header"]["msg_id"]
