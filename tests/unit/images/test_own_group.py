"""Building without root, in a shell whose group ID is not the account's own."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess

import pytest

from lab.images.own_group import in_own_group


def test_root_and_the_account_s_own_group_need_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("os.getgid", lambda: 4242)
    assert in_own_group(["mmdebstrap", "a b"]) == ["mmdebstrap", "a b"]
    monkeypatch.undo()
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("pwd.getpwuid", lambda _: type("Entry", (), {"pw_gid": os.getgid()}))
    assert in_own_group(["mmdebstrap"]) == ["mmdebstrap"]


def test_another_group_is_left_by_sg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("os.getgid", lambda: 4242)
    monkeypatch.setattr("pwd.getpwuid", lambda _: type("Entry", (), {"pw_gid": 0}))
    assert in_own_group(["sh", "-c", "it's"]) == ["sg", "root", "-c", """exec sh -c 'it'"'"'s'"""]


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("sg") is None, reason="only root can become another account"
)
def test_the_command_runs_in_the_account_s_own_group(monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = pwd.getpwnam("nobody")
    monkeypatch.setattr("os.geteuid", lambda: nobody.pw_uid)
    monkeypatch.setattr("os.getgid", lambda: 1)
    monkeypatch.setattr("pwd.getpwuid", lambda _: nobody)
    command = in_own_group(["sh", "-c", 'id -g; printf %s "it\'s"'])
    monkeypatch.undo()
    away = ["setpriv", "--reuid=nobody", "--regid=1", "--clear-groups"]
    done = subprocess.run([*away, *command], capture_output=True, text=True, check=False)
    assert done.stdout == f"{nobody.pw_gid}\nit's", done.stderr
