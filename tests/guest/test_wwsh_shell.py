"""wwsh itself: pipes, files of commands, questions on a terminal, statuses (warewulf3.md, section 3)."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.guest.conftest import Sms, Terminal

    Start = Callable[..., Terminal]

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="programs in processes of their own write as root")


def test_a_pipe_runs_one_command_a_line_and_counts_failures(sms: Sms) -> None:
    lines = "node new c1  # the first\n\n# nothing\nnode new 'c2'\nnode new c1\nfrobnicate\nnode list -1\n"
    done = sms.wwsh(stdin=lines)
    assert done.out == "c1\nc2\n"
    assert "ERROR:  Node c1 already exists" in done.err
    assert "ERROR:  Warewulf command 'frobnicate' not available" in done.err
    assert done.status == 2


def test_a_pipe_takes_effect_once_at_its_end(sms: Sms, monkeypatch: pytest.MonkeyPatch) -> None:
    from lab.guest.warewulf import events

    calls: list[bool] = []
    real = events.apply

    def counted(*words: object, dhcp: bool) -> bool:
        calls.append(dhcp)
        return real(*words, dhcp=dhcp)  # type: ignore[arg-type]

    monkeypatch.setattr(events, "apply", counted)
    sms.wwsh(
        stdin="".join(f"node new c{n} -D eth0 -I 172.16.1.{n} -H 52:54:00:00:00:0{n}\n" for n in range(1, 6))
    )
    assert calls == [True]
    assert sms.read("/etc/warewulf/dnsmasq.hosts").count("# Adding host entry for") == 5


def test_a_file_of_commands(sms: Sms, tmp_path: object) -> None:
    path = sms.write("/script", "node new c1\nexit\nnode new c2\n")
    assert sms.wwsh(str(path)).status == 0
    assert sms.must("node", "list", "-1").split() == ["c1"]


def test_options_are_taken_anywhere_on_the_line(sms: Sms) -> None:
    sms.must("node", "-q", "new", "-y", "c1")
    assert sms.must("node", "list", "-q").splitlines()[0].startswith("c1")
    done = sms.wwsh("node", "new", "c2", "--help")
    assert done.status == 0
    assert done.out.startswith("USAGE: wwsh")
    assert sms.must("node", "list", "-1").split() == ["c1"]


def test_the_store_must_have_been_made(bare: Sms) -> None:
    done = bare.wwsh("node", "list")
    assert done.status == 1
    assert done.err == "ERROR:  Failed initialization of the data store!\nhint: sudo wwinit database\n"


def test_unbalanced_quotes_are_told(sms: Sms) -> None:
    done = sms.wwsh(stdin="node new 'c1\n")
    assert done.status == 1
    assert "No closing quotation" in done.err


def test_nodhcp_leaves_dhcp_alone(sms: Sms) -> None:
    done = sms.wwsh("node", "new", "c1", "--nodhcp")
    assert "WARNING:  Skipping DHCP update. Manually run: wwsh dhcp update" in done.err
    assert not sms.path("/etc/warewulf/dnsmasq.hosts").exists()
    assert sms.must("dhcp", "update") == "Rebuilding the DHCP configuration\nDone.\n"
    assert sms.path("/etc/warewulf/dnsmasq.hosts").exists()


def test_events_and_output_last_for_the_session(sms: Sms) -> None:
    done = sms.wwsh(stdin="events disable\noutput quiet\nnode new c1\nnode list\n")
    assert done.out.splitlines()[0] == "Disabling the Warewulf Event Handler"
    assert done.out.split()[5:] == ["c1", "UNDEF", "UNDEF", "UNDEF"]
    assert not sms.path("/etc/genders").exists()
    assert sms.must("pxe", "update") == ""


@pytest.mark.parametrize("module", ["node", "provision", "file", "vnfs", "bootstrap", "object"])
def test_every_module_has_help(sms: Sms, module: str) -> None:
    assert sms.must("help", module).startswith(f"USAGE: wwsh {module} COMMAND")
    assert sms.must(module, "help") == sms.must("help", module)
    assert f"  {module:<17} " in sms.must("help")


def test_object_shows_and_changes_free_keys(sms: Sms) -> None:
    sms.must("node", "new", "c1")
    sms.must("object", "modify", "c1", "-s", "DISKWAIT=30", "-a", "colour=red", "-a", "COLOUR=blue")
    assert "       1: COLOUR     = red,blue" in sms.must("object", "print", "c1", "-p", ":all").splitlines()
    lines = sms.must("object", "print", "-p", "NAME,DISKWAIT", "-t", "node").splitlines()
    assert lines[0] == f"{'NAME':<26} {'DISKWAIT':<26} "
    assert lines[2] == f"{'c1':<26} {'30':<26} "
    sms.must("object", "modify", "c1", "--del", "COLOUR")
    assert "COLOUR" not in sms.must("object", "jsondump", "c1")
    assert sms.wwsh("object", "modify", "c1", "-s", "NAME=x").status == 1
    assert "WARNING:  No matching objects found." in sms.wwsh("object", "print", "zz").err
    sms.must("object", "delete", "c1")
    assert sms.wwsh("node", "list").out == "No nodes found\n"


# On a terminal


@needs_root
def test_node_new_asks_and_enter_means_no(sms: Sms, on_terminal: Start) -> None:
    one = on_terminal("wwsh", "node", "new", "c1", "-D", "eth0", "--ipaddr=172.16.1.1")
    assert one.until("Yes/No [no]> ") == (
        "Are you sure you want to make the following 2 change(s) to 1 node(s):\n\n"
        "     NEW: NODE                 = c1\n"
        "     SET: eth0.IPADDR          = 172.16.1.1\n\n"
        "Yes/No [no]> "
    )
    one.type("\n")
    status, rest = one.end()
    assert status == 1
    assert rest.strip() == "No update performed"
    assert sms.wwsh("node", "list").out == "No nodes found\n"


@needs_root
def test_provision_set_asks_and_yes_applies(sms: Sms, on_terminal: Start) -> None:
    sms.must("node", "new", "c1")
    one = on_terminal("wwsh", "provision", "set", "c1", "--preshell=1")
    assert one.until("> ") == (
        "Are you sure you want to make the following changes to 1 node(s):\n\n"
        "     SET: PRESHELL             = 1\n\n"
        "Yes/No> "
    )
    one.type("Y\n")
    assert one.end()[0] == 0
    assert "c1: PRESHELL         = TRUE" in sms.must("provision", "print", "c1")


@needs_root
def test_yes_on_the_line_is_never_asked(sms: Sms, on_terminal: Start) -> None:
    status, text = on_terminal("wwsh", "-y", "node", "new", "c1").end()
    assert status == 0
    assert "Are you sure" not in text


@needs_root
def test_overwriting_a_file_asks(sms: Sms, on_terminal: Start) -> None:
    path = sms.write("/etc/x", "one")
    sms.must("file", "import", "/etc/x")
    path.write_text("two")
    one = on_terminal("wwsh", "file", "import", "/etc/x")
    assert one.until("Yes/No [no]> ") == (
        'Overwrite existing file object "x" in the data store?\nYes/No [no]> '
    )
    one.type("no\n")
    status, rest = one.end()
    assert (status, rest.strip().splitlines()[-1]) == (1, 'Not importing "x"')
    assert sms.must("file", "show", "x") == "one"


@needs_root
def test_deletions_can_be_discarded(sms: Sms, on_terminal: Start) -> None:
    sms.must("node", "new", "c1")
    one = on_terminal("wwsh", "node", "delete", "c1")
    assert "Proceed?\nYes/No [no]> " in one.until("[no]> ")
    one.type("\n")
    assert one.end()[1].strip().endswith("Action(s) discarded.")
    assert sms.must("node", "list", "-1").split() == ["c1"]


@needs_root
def test_the_shell_prompts_completes_and_remembers(sms: Sms, on_terminal: Start) -> None:
    shell = on_terminal("wwsh")
    shell.until("Warewulf> ")
    shell.type("node new c1\n")
    shell.until("Yes/No [no]> ")
    shell.type("yes\n")
    shell.until("Warewulf> ")
    assert "c1" in sms.read("/etc/genders"), "changes take effect after each command, not on leaving"
    shell.type("node pri\tc\t\n")
    assert "c1: NODENAME         = c1" in shell.until("Warewulf> ")
    shell.type("quit\n")
    assert shell.end()[0] == 0
    assert "node print c1" in (sms.root.parent / ".wwsh/history").read_text()
