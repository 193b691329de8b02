"""The checks of the chapter on security against scripted nodes: right, wrong, and other right ways."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

import pytest

from lab.checks.api import Outcome
from lab.model import ClusterSpec, Interface, Network, Node, Role, Tag
from tests.unit.checks_world import Said, World, small_spec
from tests.unit.exercises.test_login import judge, outcomes, packs, provision_print
from tests.unit.next_boot_world import with_bootstrap

CHROOT = "/opt/ohpc/admin/images/debian13"
STRANGER = "203.0.113.66"
LISTENING = "tcp 0.0.0.0:22 LISTEN 687/sshd\ntcp 0.0.0.0:111 LISTEN 1/init\n"
SSH_ONLY = "tcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:*\nudp UNCONN 0 0 0.0.0.0:39982 0.0.0.0:*\n"


def with_stranger() -> ClusterSpec:
    card = Interface("eth0", "external", "52:54:00:00:09:09", IPv4Address(STRANGER))
    outside = Node("outside", Role.OUTSIDE, Tag.CPU, 1, 256, 0, 0, (card,), registered=False)
    spec = small_spec()
    external = Network("external", IPv4Network("203.0.113.0/24"))
    return replace(spec, nodes=(*spec.nodes, outside), networks=(*spec.networks, external))


def a_cluster() -> World:
    """The login node has a VNFS, and is up."""
    world = World(spec=with_stranger())
    world.says("sms", "^wwsh provision print login", provision_print())
    return world.says(
        "sms",
        "^wwsh vnfs list",
        "VNFS NAME            SIZE (M)   ARCH       CHROOT LOCATION\n"
        f"debian13             60.0       x86_64     {CHROOT}\n",
    )


def passes(name: str, world: World) -> bool:
    found = judge(name, world)
    return len(outcomes(found, Outcome.PASSED)) == len(found)


# listening_services


def quiet() -> World:
    """SEC-1 solved."""
    world = a_cluster()
    world.says("sms", "^cat ~user1/listening.txt", LISTENING)
    world.says("sms", "^grep -rqsE", status=1)
    world.says("sms", "^wwsh file list", "")
    packs(world, {"etc/systemd/system/sockets.target.wants/ssh.socket": "x"})
    world.says("login", "^systemctl is-system-running", "running\n")
    world.says("sms", "is-enabled", "disabled\n", 1)
    world.says("login", "^systemctl show", "ActiveState=inactive\nActiveEnterTimestampMonotonic=0\n" * 2)
    return world.says("login", "^ss ", SSH_ONLY)


@pytest.mark.parametrize(
    ("pattern", "output", "status"),
    [
        ("is-enabled", "masked\n", 1),
        ("is-enabled", "Failed to get unit file state for rpcbind.socket: No such file or directory\n", 1),
        ("^cat ~user1", "Netid LISTEN sshd *:ssh\nNetid LISTEN systemd *:sunrpc\n", 0),
    ],
)
def test_rpcbind_may_be_kept_quiet_and_noted_in_other_ways(pattern: str, output: str, status: int) -> None:
    assert passes("listening_services", quiet())
    assert passes("listening_services", quiet().says("sms", pattern, output, status))


def test_a_condition_in_the_image_counts_too() -> None:
    world = quiet().says("sms", "is-enabled", "enabled\n").says("sms", "^grep -rqsE")
    assert passes("listening_services", world)


@pytest.mark.parametrize(
    ("node", "pattern", "output", "check", "part"),
    [
        ("sms", "^cat ~user1", "tcp 0.0.0.0:22 sshd\n", "inventory_is_written_down", "rpcbind not in it"),
        ("sms", "is-enabled", "enabled\n", "image_keeps_rpcbind_quiet", "rpcbind.socket: enabled"),
        ("login", "^systemctl show", "ActiveState=active\n", "login_booted_without_rpcbind", "port 111"),
        (
            "login",
            "^systemctl show",
            "ActiveState=inactive\nActiveEnterTimestampMonotonic=913\n",
            "login_booted_without_rpcbind",
            "stopped later",
        ),
        ("login", "^ss ", SSH_ONLY + "tcp LISTEN 0 9 [::]:80 [::]:*\n", "only_ssh_is_offered", "tcp 80"),
    ],
)
def test_what_still_listens_is_named(node: str, pattern: str, output: str, check: str, part: str) -> None:
    found = judge("listening_services", quiet().says(node, pattern, output))
    assert outcomes(found, Outcome.FAILED) == [check]
    assert part in found[check].actual


def test_a_chroot_that_was_not_packed_is_told() -> None:
    wants = "etc/systemd/system/sockets.target.wants/rpcbind.socket"
    found = judge("listening_services", packs(quiet(), {wants: None}))
    assert outcomes(found, Outcome.FAILED) == ["image_is_packed"]
    assert wants in found["image_is_packed"].actual


def test_a_link_that_only_the_image_still_has_is_told_as_such() -> None:
    link = "etc/systemd/system/sockets.target.wants/rpcbind.socket"
    found = judge("listening_services", packs(quiet(), {}, gone=link))
    assert outcomes(found, Outcome.FAILED) == ["image_is_packed"]
    assert f"still has /{link}" in found["image_is_packed"].actual


def test_units_that_warewulf_masks_on_login_count_too() -> None:
    rows = "".join(
        f"{unit}:  lrwxrwxrwx 1   root root                 9 /etc/systemd/system/{unit}\n"
        for unit in ("rpcbind.socket", "rpcbind.service")
    )
    world = quiet().says("sms", "is-enabled", "enabled\n").says("sms", "^wwsh file list", rows)
    assert not passes("listening_services", world)
    given = provision_print(files="rpcbind.socket,rpcbind.service")
    assert passes("listening_services", world.says("sms", "^wwsh provision print login", given))


def test_what_only_the_machine_itself_can_reach_does_not_count() -> None:
    local = SSH_ONLY + "tcp LISTEN 0 9 127.0.0.1:25 0.0.0.0:*\nudp UNCONN 0 0 [::1]:323 [::]:*\n"
    assert passes("listening_services", quiet().says("login", "^ss ", local))


# intruder_ban


def unit(active: str, load: str = "loaded", condition: str = "yes") -> str:
    return f"Id=x.service\nLoadState={load}\nActiveState={active}\nConditionResult={condition}\n"


def jailed() -> World:
    """SEC-2 solved."""
    world = a_cluster()
    world.says("sms", "is-enabled", "enabled\n")
    world.says("sms", "^grep -")
    world.says("sms", "^grep -rlsE", f"{CHROOT}/etc/systemd/system/x.service.d/override.conf\n")
    world.says(
        "sms", "cat jail.conf", "[DEFAULT]\nenabled = false\n[sshd]\nport=ssh\n[sshd]\nenabled = true\n"
    )
    world.says("login", "^systemctl show", unit("active"))
    world.says("login", "^fail2ban-client status sshd", "Status for the jail: sshd\n")
    sizes = iter(range(1, 1000))
    world.does("login", "^stat ", lambda _command, _timeout: Said(0, f"{next(sizes)}\n"))
    world.says("sms", f"^cd {CHROOT} .*service.d", "[Unit]\nConditionHost=|login*\n")
    packs(world, {"etc/fail2ban/jail.d/sshd.local": "[sshd]\n"})
    world.says("login", "^systemctl is-system-running", "running\n").says("login", "^systemd-analyze")
    for node in ("c1", "c2"):
        world.says(node, "^systemctl show", unit("inactive", "not-found"))
        world.says(node, "^systemd-analyze", status=1)
        world.says("sms", f"^wwsh provision print {node}", provision_print().replace("login", node))
    return world


def test_intruder_ban_passes_when_solved() -> None:
    assert passes("intruder_ban", jailed())
    skipped = unit("inactive", condition="no")
    assert passes("intruder_ban", jailed().says("c1", "^systemctl show", skipped))
    everywhere = "[DEFAULT]\nenabled = true\n[sshd]\nport = ssh\n"
    assert passes("intruder_ban", jailed().says("sms", "cat jail.conf", everywhere))


@pytest.mark.parametrize(
    ("node", "pattern", "output", "status", "check", "part"),
    [
        ("sms", "is-enabled", "disabled\n", 1, "image_has_both_services", "fail2ban: disabled"),
        ("sms", "is-enabled", "Failed to get x\n", 1, "image_has_both_services", "not installed"),
        ("sms", "is-enabled", "not-found\n", 4, "image_has_both_services", "not installed"),
        (
            "sms",
            "cat jail.conf",
            "[sshd]\nenabled = true\nenabled = false\n",
            0,
            "jail_for_ssh_is_on",
            "disabled",
        ),
        ("sms", "^grep -rlsE", "", 1, "services_are_for_login_only", "fail2ban, firewalld"),
        ("sms", "^grep -qsE", "", 1, "image_keeps_logins_in_a_log", "commented out"),
        ("login", "^systemctl show", unit("inactive", "not-found"), 0, "login_watches_logins", "has none"),
        ("login", "^systemctl show", unit("inactive", condition="no"), 0, "login_watches_logins", "unmet"),
        ("login", "^fail2ban-client", "ERROR no such jail", 255, "login_watches_logins", "no such jail"),
        ("login", "^stat ", "0\n", 0, "logins_are_written_there", "empty"),
        ("login", "^stat ", "9\n", 0, "logins_are_written_there", "did not make it longer"),
        ("c2", "^systemd-analyze", "", 0, "conditions_sort_the_nodes", "it meets: ConditionHost=|login*"),
        ("login", "^systemd-analyze", "", 1, "conditions_sort_the_nodes", "does not meet"),
        ("c2", "^systemctl show", unit("failed"), 0, "compute_nodes_do_not", "was started"),
    ],
)
def test_what_keeps_logins_unwatched_is_named(
    node: str, pattern: str, output: str, status: int, check: str, part: str
) -> None:
    found = judge("intruder_ban", jailed().says(node, pattern, output, status))
    assert outcomes(found, Outcome.FAILED) == [check]
    assert part in found[check].actual


def test_an_image_without_what_the_chroot_has_is_told_at_once() -> None:
    found = judge("intruder_ban", packs(jailed(), {"etc/fail2ban/jail.d/sshd.local": None}))
    assert outcomes(found, Outcome.FAILED) == ["image_is_packed"]
    assert "sshd.local" in found["image_is_packed"].actual


def test_fail2ban_may_read_another_log_or_the_journal() -> None:
    journal = "[sshd]\nenabled = true\nbackend = systemd\n"
    world = jailed().says("sms", "cat jail.conf", journal).says("sms", "^grep -qsE", status=1)
    assert passes("intruder_ban", world)
    other = "[sshd]\nenabled = true\nlogpath = /var/log/auth.log\n"
    world = jailed().says("sms", "cat jail.conf", other).says("sms", "^grep -qsE", status=1)
    world.says("sms", "^grep -qsE .*/var/log/auth.log")
    assert passes("intruder_ban", world)


def test_a_login_node_with_a_vnfs_of_its_own_needs_no_condition() -> None:
    world = jailed().says("sms", "^grep -rlsE", status=1).says("sms", f"^cd {CHROOT} .*service.d", "")
    for node in ("c1", "c2"):
        other = provision_print(vnfs="compute").replace("login", node)
        world.says("sms", f"^wwsh provision print {node}", other)
    assert passes("intruder_ban", world)


# missing_modules


NETFILTER = ("nf_tables", "nft_ct", "nfnetlink", "nf_conntrack", "virtio_net")
ATTACKED = f"[sshd] Found {STRANGER} - 2026\n" * 5 + f"2026 NOTICE [sshd] Ban {STRANGER}\n"


def defended(banned: str = "") -> World:
    """SEC-3 solved, with what the jail says of banned addresses."""
    world = with_bootstrap(a_cluster(), *NETFILTER)
    world.says("sms", "^cat /etc/warewulf/bootstrap.conf", "drivers += kernel/fs/\ndrivers += kernel/net/\n")
    world.says("login", "^modinfo", "/lib/modules/6.12.0/x.ko.xz\n")
    world.says("login", "uptime -s", "1000\n").says("login", "is-system-running", "running\n")
    world.says("login", "^lsmod", "Module Size Used by\nnf_tables 311296 0\nvirtio_net 110592 0\n")
    world.says("login", "^systemctl show firewalld", unit("active"))
    world.says("login", "^firewall-cmd", "running\n")
    world.says(
        "login", "^fail2ban-client status", f"   |- Total banned: 1\n   `- Banned IP list:\t{banned}\n"
    )
    world.says("login", "^fail2ban-client get", f"5\n{ATTACKED}")
    answer = "login: Connection refused\n" if banned else "login ssh-ed25519 AAAA\n"
    return world.says("outside", "^ssh-keyscan", answer)


@pytest.mark.parametrize("line", ["drivers += nf_tables nft_ct", "# drivers += kernel/net/", ""])
def test_what_the_bootstrap_holds_counts_and_not_how_it_got_there(line: str) -> None:
    assert passes("missing_modules", defended())
    assert passes("missing_modules", defended().says("sms", "^cat /etc/warewulf", f"{line}\n"))


@pytest.mark.parametrize(
    ("line", "part", "hint"),
    [
        ("drivers += kernel/net", "built without it", "wwbootstrap"),
        ("drivers+=kernel/", "built without it", "wwbootstrap"),
        ("drivers += kernel/net/netfilter/", "built without it", "wwbootstrap"),
        ("drivers += nfnetlink, nf_tables nft_ct", "built without it", "wwbootstrap"),
        ("# drivers += kernel/net/", "no drivers line", "Which directory"),
        ("modprobe += nf_tables", "no drivers line", "Which directory"),
        ("drivers += kernel/net/ipv4/", "no drivers line", "Which directory"),
    ],
)
def test_a_file_that_was_not_edited_and_a_bootstrap_that_was_not_built_are_told_apart(
    line: str, part: str, hint: str
) -> None:
    world = with_bootstrap(defended(), "virtio_net").says("sms", "^cat /etc/warewulf", f"{line}\n")
    found = judge("missing_modules", world)
    assert outcomes(found, Outcome.FAILED) == ["bootstrap_has_netfilter"]
    assert part in found["bootstrap_has_netfilter"].actual
    assert hint in found["bootstrap_has_netfilter"].hint


@pytest.mark.parametrize(
    ("built", "part", "hint"),
    [
        (1001, "booted before the bootstrap was built", "when it boots"),
        (900, "has booted since", "lab console"),
    ],
)
def test_a_node_that_was_not_rebooted_is_told(built: int, part: str, hint: str) -> None:
    world = with_bootstrap(defended(), *NETFILTER, built=built).says("login", "^modinfo", "", 1)
    verdict = judge("missing_modules", world)["login_has_the_modules"]
    assert part in verdict.actual
    assert hint in verdict.hint


def test_a_module_that_only_the_node_has_is_told() -> None:
    lsmod = "Module Size Used by\nnf_tables 311296 0\nnft_masq 1 0\n"
    found = judge("missing_modules", defended().says("login", "^lsmod", lsmod))
    assert outcomes(found, Outcome.FAILED) == ["modules_come_with_the_bootstrap"]
    assert found["modules_come_with_the_bootstrap"].actual == "not there: nft_masq"


@pytest.mark.parametrize(
    ("log", "part"),
    [
        ("", "no ban"),
        ("[sshd] Ban 203.0.113.6\n", "no ban"),
        (f"[sshd] Ban {STRANGER}\n", "typed it"),
        (f"[sshd] Found {STRANGER} - 2026\n[sshd] Ban {STRANGER}\n", "typed it"),
        (f"[nginx] Found {STRANGER} - 2026\n" * 5 + f"[sshd] Ban {STRANGER}\n", "typed it"),
        ("[sshd] Found 203.0.113.6 - 2026\n" * 5 + f"[sshd] Ban {STRANGER}\n", "typed it"),
    ],
)
def test_only_failures_earn_a_ban(log: str, part: str) -> None:
    found = judge("missing_modules", defended().says("login", "^fail2ban-client get", f"5\n{log}"))
    assert outcomes(found, Outcome.FAILED) == ["stranger_was_banned"]
    assert part in found["stranger_was_banned"].actual


def test_a_ban_after_an_attack_and_one_by_hand_is_earned() -> None:
    log = f"{ATTACKED}[sshd] Unban {STRANGER}\n[sshd] Ban {STRANGER}\n"
    assert passes("missing_modules", defended().says("login", "^fail2ban-client get", f"5\n{log}"))


def test_a_ban_is_seen_from_both_sides() -> None:
    found = judge("missing_modules", defended(banned=STRANGER))
    assert outcomes(found, Outcome.FAILED) == ["stranger_may_try_again"]
    leaky = defended(banned=STRANGER).says("outside", "^ssh-keyscan", "login ssh-ed25519 AAAA\n")
    assert "a_ban_is_a_ban" in outcomes(judge("missing_modules", leaky), Outcome.FAILED)


@pytest.mark.parametrize(
    ("node", "pattern", "output", "status", "check", "part"),
    [
        ("login", "^firewall-cmd", "not running\n", 252, "firewall_runs", "not running"),
        ("outside", "^ssh-keyscan", "", 1, "stranger_may_try_again", "no answer"),
    ],
)
def test_what_keeps_the_firewall_from_banning_is_named(
    node: str, pattern: str, output: str, status: int, check: str, part: str
) -> None:
    found = judge("missing_modules", defended().says(node, pattern, output, status))
    assert outcomes(found, Outcome.FAILED) == [check]
    assert part in found[check].actual
