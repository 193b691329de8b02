"""wwsh file: taking, showing, changing and syncing files (warewulf3.md, section 6)."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

import pytest

from lab.guest.warewulf.contents import content_format
from lab.guest.warewulf.model import Kind

if TYPE_CHECKING:
    from tests.guest.conftest import Sms


def test_import_is_silent_and_lists_as_the_slides_do(sms: Sms) -> None:
    sms.write("/etc/pam.d/sshd", "x" * 727)
    assert sms.must("file", "import", "/etc/pam.d/sshd", "--name=sshd.login") == ""
    row = next(line for line in sms.must("file", "list").splitlines() if line.startswith("sshd"))
    if os.geteuid() == 0:
        assert row == "sshd.login              :  rw-r--r-- 1   root root              727 /etc/pam.d/sshd"
    head = sms.must("-v", "file", "list").splitlines()[0]
    assert head.split() == ["NAME", "PERMS", "O", "USER", "GROUP", "SIZE", "DEST"]


def test_print_knows_origin_format_and_checksum(sms: Sms) -> None:
    sms.write("/etc/slurm/slurm.conf.login", "#!/bin/sh\n", 0o600)
    sms.must(
        "-y", "file", "import", "/etc/slurm/slurm.conf.login", "--name=s", "--path=/etc/slurm/slurm.conf"
    )
    lines = sms.must("file", "print", "s").splitlines()
    assert "s               : PATH             = /etc/slurm/slurm.conf" in lines
    assert "s               : ORIGIN           = /etc/slurm/slurm.conf.login" in lines
    assert "s               : FORMAT           = shell" in lines
    assert "s               : MODE             = 0600" in lines
    checksum = hashlib.md5(b"#!/bin/sh\n", usedforsecurity=False).hexdigest()
    assert f"s               : CHECKSUM         = {checksum}" in lines


def test_links_are_followed_and_names_come_from_what_they_name(sms: Sms) -> None:
    sms.write("/etc/real.conf", "content")
    sms.path("/etc/link.conf").symlink_to("real.conf")
    sms.must("file", "import", "/etc/link.conf")
    assert sms.must("file", "show", "real.conf") == "content"


def test_a_missing_source_is_told_with_its_reason(sms: Sms) -> None:
    done = sms.wwsh("file", "import", "/etc/nothing")
    assert done.status == 1
    assert done.err == 'ERROR:  "/etc/nothing" not found -- No such file or directory\n'


@pytest.mark.parametrize(
    ("option", "name"),
    [("--mode=9", "mode"), ("--path=etc/x", "path"), ("--uid=me", "uid"), ("--name=a b", "name"),
     ("--path=/etc/a;b", "path"), ("--interpreter=sh", "interpreter")],
)  # fmt: skip
def test_values_out_of_shape_are_refused(sms: Sms, option: str, name: str) -> None:
    sms.write("/etc/x", "x")
    done = sms.wwsh("file", "import", "/etc/x", option)
    assert done.err == f"ERROR:  Option '{name}' has invalid characters\n"


def test_set_shows_its_actions_even_unasked(sms: Sms) -> None:
    sms.write("/etc/x", "x")
    sms.must("file", "import", "/etc/x")
    assert sms.must("file", "set", "x", "--path", "/opt/x", "--mode=0640", "--interpreter=UNDEF") == (
        "About to apply 3 action(s) to 1 file(s):\n\n"
        "     SET: PATH                 = /opt/x\n"
        "     SET: MODE                 = 0640\n"
        "   UNDEF: INTERPRETER         \n\n"
    )
    assert "x               : MODE             = 0640" in sms.must("file", "print", "x")


def test_delete_says_what_goes(sms: Sms) -> None:
    sms.write("/etc/x", "x")
    sms.must("file", "import", "/etc/x")
    assert sms.must("file", "delete", "x") == "     DEL: FILE                 = x\n"
    assert sms.wwsh("file", "show", "x").out == "No objects found\n"


def test_sync_takes_the_new_content_and_moves_the_timestamp_only_then(sms: Sms) -> None:
    path = sms.write("/etc/x", "one")
    sms.must("file", "import", "/etc/x")

    def timestamp() -> int:
        store = sms.store()
        record = store.named(Kind.FILE, "x")
        store.close()
        assert record is not None
        return record.timestamp

    first = timestamp()
    sms.must("file", "resync", "x")
    assert timestamp() == first
    path.write_text("two")
    sms.must("file", "resync")
    assert sms.must("file", "show", "x") == "two"
    assert timestamp() > first


def test_sync_of_a_vanished_origin_keeps_what_is_stored(sms: Sms) -> None:
    path = sms.write("/etc/x", "one")
    sms.must("file", "import", "/etc/x")
    path.unlink()
    done = sms.wwsh("file", "sync", "x")
    assert done.status == 1
    assert 'WARNING:  "/etc/x" not found -- No such file or directory; x was not changed' in done.err
    assert sms.must("file", "show", "x") == "one"


def test_origins_are_joined_and_commands_are_run(sms: Sms) -> None:
    sms.write("/etc/a", "A\n")
    sms.must("file", "new", "ab", "--origin=/etc/a,printf B|", "--path=/etc/ab")
    assert sms.must("file", "show", "ab") == "A\nB"
    sms.must("file", "new", "empty")
    assert sms.must("file", "sync", "empty") == "empty :: No ORIGIN defined\n"


def test_edit_stores_what_the_editor_saves(sms: Sms) -> None:
    sms.write("/etc/x", "one\n")
    sms.must("file", "import", "/etc/x")
    assert sms.must("file", "edit", "x", "-p", "true") == "File unchanged.  Not updating data store.\n"
    editor = sms.write("/editor", "#!/bin/sh\necho two >>$1\n", 0o755)
    sms.must("file", "edit", "x", "--program", str(editor))
    assert sms.must("file", "show", "x") == "one\ntwo\n"


def test_export_writes_with_the_stored_mode(sms: Sms) -> None:
    sms.write("/etc/secret", "key", 0o400)
    sms.must("file", "import", "/etc/secret")
    sms.must("file", "export", "secret", "/opt/copy")
    assert sms.read("/opt/copy") == "key"
    assert sms.path("/opt/copy").stat().st_mode & 0o777 == 0o400
    assert "USAGE" in sms.wwsh("file", "export", "secret").err
    assert sms.wwsh("file", "export", "nothing", "/opt/copy").out == "File(s) not found\n"


def test_links_and_folders_are_kept_as_what_they_are(sms: Sms) -> None:
    sms.path("/etc/conf.d").mkdir()
    sms.must("file", "import", "/etc/conf.d")
    assert " drwx" in next(line for line in sms.must("file", "list").splitlines() if "conf.d" in line)


@pytest.mark.parametrize(
    ("content", "kind"),
    [(b"#!/bin/sh\n", "shell"), (b"#!/bin/bash -e\n", "bash"), (b"#!/usr/bin/perl\n", "perl"),
     (b"#!/usr/bin/env python3\n", "python"), (b"text", "data"), (b"\0\1", "binary")],
)  # fmt: skip
def test_the_first_bytes_tell_the_format(content: bytes, kind: str) -> None:
    assert content_format(content) == kind


def test_dynamic_hosts_is_made_not_read(sms: Sms) -> None:
    sms.must("node", "new", "c1", "-D", "eth0", "-I", "172.16.1.1")
    assert "172.16.1.1              c1 c1.localdomain c1-eth0 c1-eth0.localdomain" in sms.must(
        "file", "show", "dynamic_hosts"
    )
    row = next(line for line in sms.must("file", "list").splitlines() if "dynamic_hosts" in line)
    assert row.split()[3] == "0"
    assert row.split()[-1] == "/etc/hosts"
