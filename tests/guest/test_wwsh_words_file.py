"""Every option of `wwsh file` with the words that it takes: Cli/File.pm and File.pm, row by row."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from lab.guest.warewulf.model import Kind, Record
from tests.guest.conftest import ALL_UNDEF, CLEARED, Want, accepts, refuses

if TYPE_CHECKING:
    from tests.guest.conftest import Sms

FILE = Record(
    Kind.FILE,
    {
        "NAME": "f",
        "PATH": "/etc/f",
        "ORIGIN": ("/etc/f", "/etc/g"),
        "MODE": "0640",
        "UID": "1",
        "GID": "2",
        "INTERPRETER": "/bin/sh",
        "FORMAT": "data",
        "SIZE": "0",
        "CHECKSUM": "d41d8cd98f00b204e9800998ecf8427e",
    },
)


@pytest.mark.parametrize(
    ("options", "want"),
    [
        ("--path=/opt/x-1_y.z", {"PATH": "/opt/x-1_y.z"}),
        ("-D /opt/x", {"PATH": "/opt/x"}),
        ("--dest /opt/x", {"PATH": "/opt/x"}),
        *((f"--path={word}", {"PATH": CLEARED}) for word in ALL_UNDEF),
        ("-m 0755", {"MODE": "0755"}),
        ("--mode=644", {"MODE": "0644"}),
        ("--mode=4755", {"MODE": "4755"}),
        ("--mode=100644", {"MODE": "0644"}),
        ("--mode=undef", {"MODE": CLEARED}),
        ("-u 1000 -g 100", {"UID": "1000", "GID": "100"}),
        ("--uid=UNDEF --gid=undef", {"UID": CLEARED, "GID": CLEARED}),
        ("-o /a", {"ORIGIN": ("/a",)}),
        ("--origin=/a,/b", {"ORIGIN": ("/a", "/b")}),
        ("--origin=/a --source=/b", {"ORIGIN": ("/a", "/b")}),
        *((f"--origin={word}", {"ORIGIN": CLEARED}) for word in ALL_UNDEF),
        ("--interpreter=/usr/bin/perl", {"INTERPRETER": "/usr/bin/perl"}),
        *((f"--interpreter={word}", {"INTERPRETER": CLEARED}) for word in ALL_UNDEF),
        ("--interp=/bin/cat", {"INTERPRETER": "/bin/cat"}),
        ("-n f", {}),
        # Options that guides leave empty change nothing.
        ("--mode=0600 --path= --uid= --gid= --origin= --interpreter= --name=", {"MODE": "0600"}),
    ],
)
def test_set(sms: Sms, options: str, want: Want) -> None:
    sms.add(FILE)
    accepts(sms, ["file", "set", "f", *options.split()], want, "f", Kind.FILE)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--path=etc/x", "Option 'path' has invalid characters"),
        ("--path=/a;b", "Option 'path' has invalid characters"),
        ("--mode=0999", "Option 'mode' has invalid characters"),
        ("--mode=u+x", "Option 'mode' has invalid characters"),
        ("--uid=root", "Option 'uid' has invalid characters"),
        ("--gid=-1", "Option 'gid' has invalid characters"),
        ("--interpreter=perl", "Option 'interpreter' has invalid characters"),
        ("--origin=/a&b", "Option 'origin' has invalid characters"),
        ("--name=a/b", "Option 'name' has invalid characters"),
        *((f"--name={word}", "A file must have a name; UNDEF is none") for word in ALL_UNDEF),
        ("--name=other", 'File "other" already exists'),
        ("--frob", "Unknown option: frob"),
        ("--in=x --overwrite=1", "Option overwrite does not take an argument"),
    ],
)
def test_set_refuses(sms: Sms, options: str, message: str) -> None:
    sms.add(FILE, Record(Kind.FILE, {"NAME": "other"}))
    refuses(sms, ["file", "set", "f", *options.split()], message, "f", Kind.FILE)


@pytest.mark.parametrize(
    ("options", "want"),
    [
        ("", {"NAME": "x", "PATH": "/etc/x", "ORIGIN": ("/etc/x",), "MODE": "0604"}),
        ("-n y -D /opt/y", {"NAME": "y", "PATH": "/opt/y", "ORIGIN": ("/etc/x",)}),
        *((f"--origin={word}", {"ORIGIN": CLEARED}) for word in ALL_UNDEF),
        ("-o /etc/other", {"ORIGIN": ("/etc/other",), "PATH": "/etc/x"}),
        ("-m 600 -u 7 -g 8", {"MODE": "0600", "UID": "7", "GID": "8"}),
        ("--name= --path= --mode= --origin=", {"NAME": "x", "PATH": "/etc/x", "ORIGIN": ("/etc/x",)}),
    ],
)
def test_import(sms: Sms, options: str, want: Want) -> None:
    sms.write("/etc/x", "content", 0o604)
    done = sms.wwsh("-y", "file", "import", "/etc/x", *options.split())
    assert done.status == 0, done.err
    name = want.get("NAME", "x")
    found = sms.values(str(name), Kind.FILE)
    assert {key: found.get(key, CLEARED) for key in want} == want


def test_import_takes_the_paths_of_origin_when_the_line_has_none(sms: Sms) -> None:
    sms.write("/etc/x", "content")
    sms.must("file", "import", "--origin=/etc/x")
    assert sms.values("x", Kind.FILE)["ORIGIN"] == ("/etc/x",)


@pytest.mark.parametrize("target", ["/nowhere/unit.service", "gone"])
def test_a_link_that_leads_nowhere_is_imported_as_a_link(sms: Sms, target: str) -> None:
    """Units are delivered so: what they name is on the nodes only."""
    sms.path("/etc/unit").symlink_to(target)
    sms.must("file", "import", "/etc/unit")
    found = sms.values("unit", Kind.FILE)
    assert (found["FILETYPE"], found["PATH"]) == ("link", "/etc/unit")
    assert sms.must("file", "show", "unit") == target


@pytest.mark.parametrize("command", [["new"], ["import", "/etc/x", "-n"], ["set", "f", "-n"]])
@pytest.mark.parametrize("name", [*ALL_UNDEF, "a/b"])
def test_names_that_no_file_can_get(sms: Sms, command: list[str], name: str) -> None:
    sms.write("/etc/x", "content")
    sms.add(FILE)
    assert sms.wwsh("-y", "file", *command, name).status == 1
    assert [line.split(":")[0].strip() for line in sms.must("file", "list").splitlines()] == ["f"]


@pytest.mark.parametrize(
    ("field", "word"),
    [("path", "/etc/f"), ("PATH", "*"), ("id", "1"), ("Format", "data"), ("mode", "0640"), ("uid", "1")],
)
@pytest.mark.parametrize("verb", ["list", "print", "export"])
def test_lookups(sms: Sms, verb: str, field: str, word: str) -> None:
    sms.add(FILE)
    target = ["/opt/out"] if verb == "export" else []
    done = sms.wwsh("file", verb, "-l", field, word, *target)
    assert done.status == 0, done.err
    assert "f" in done.out or sms.path("/opt/out").exists()


def test_sync_with_overwrite_also_reads_mode_and_owner(sms: Sms) -> None:
    path = sms.write("/etc/x", "content", 0o644)
    sms.must("file", "import", "/etc/x", "--mode=0600")
    sms.must("file", "sync", "x")
    assert sms.values("x", Kind.FILE)["MODE"] == "0600"
    path.chmod(0o755)
    sms.must("file", "sync", "--over", "x")
    assert sms.values("x", Kind.FILE)["MODE"] == "0755"
    assert sms.values("x", Kind.FILE)["UID"] == str(os.getuid())


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("n[1-3]", ["n1", "n2", "n3"]),
        ("n[01,03]x m", ["m", "n01x", "n03x"]),
        ("n --name=m", ["m"]),
    ],
)
def test_new_names(sms: Sms, words: str, names: list[str]) -> None:
    """Cli/File.pm expands brackets for `new`, too, and gives the new file the name of --name."""
    sms.must("file", "new", *words.split())
    found = [line.split(":")[0].strip() for line in sms.must("file", "list").splitlines()]
    assert [name for name in found if name != "dynamic_hosts"] == names


def test_new_gives_one_name_to_one_file_only(sms: Sms) -> None:
    done = sms.wwsh("file", "new", "a", "b", "--name=c")
    assert (done.status, done.err) == (1, "ERROR:  Option --name works with one file only\n")


@pytest.mark.parametrize(
    ("mode", "shown", "letters"),
    [
        ("4755", "4755", "rwsr-xr-x"),
        ("4644", "4644", "rwSr--r--"),
        ("2755", "2755", "rwxr-sr-x"),
        ("1777", "1777", "rwxrwxrwt"),
        ("1666", "1666", "rw-rw-rwT"),
        ("0600", "0600", "rw-------"),
        ("UNDEF", "0640", "rw-r-----"),
    ],
)
def test_modes_as_file_pm_shows_them(sms: Sms, mode: str, shown: str, letters: str) -> None:
    sms.add(FILE)
    sms.must("-y", "file", "set", "f", f"--mode={mode}")
    assert f"MODE             = {shown}\n" in sms.must("file", "print", "f")
    assert sms.must("file", "list", "f").split()[2] == letters
