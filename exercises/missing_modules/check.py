"""SEC-3: the bootstrap has netfilter, the firewall of the login node runs, and it enforces bans.

What must outlive the next boot are the modules: they are looked for in the bootstrap that the node downloads
then, and not only on the node, where somebody may have copied them by hand.
"""

from __future__ import annotations

import re

from lab.checks import ClusterView, NodeView, bootstrap_of, check, failed, not_in_bootstrap, stands
from lab.facts import fail2ban, systemd

CONF = "/etc/warewulf/bootstrap.conf"
NETFILTER = "kernel/net/netfilter/"
NAMES = ("nf_tables", "nft_ct", "nfnetlink")
STATUS = "fail2ban-client status sshd"


def drivers(text: str) -> list[str]:
    """The words in the `drivers += …` lines of bootstrap.conf."""
    lines = re.findall(r"^\s*drivers\s*\+?=(.*)$", text, flags=re.MULTILINE)
    return re.split(r"[\s,]+", " ".join(line.split("#")[0] for line in lines).strip())


def names_netfilter(words: list[str]) -> bool:
    """Whether a list of drivers names some of netfilter, by folder or by module."""
    folders = [word.lstrip("/") for word in words if "/" in word]
    return any(NETFILTER.startswith(folder) for folder in folders) or any(name in words for name in NAMES)


def stranger(cluster: ClusterView) -> NodeView:
    """The machine outside."""
    return cluster.only("outside")


def banned(cluster: ClusterView) -> str:
    """The addresses that the jail bans now, as it prints them."""
    answer = cluster.login.run(STATUS)
    if answer.exit_status != 0:
        raise failed(
            expected="a jail called sshd",
            actual=answer.output.strip(),
            hint="`systemctl status fail2ban` shows the reason.",
            node="login",
            look=STATUS,
        )
    found = re.search(r"Banned IP list:(.*)$", answer.output, flags=re.MULTILINE)
    return found[1].strip() if found else ""


def door(cluster: ClusterView) -> tuple[bool, str]:
    """Whether sshd on the login node answers the stranger, and what the stranger saw."""
    guest = stranger(cluster)
    # The host key exchange precedes the login, so this does not count as a failed login.
    answer = guest.run("ssh-keyscan -T 5 login 2>&1", timeout=10)
    return re.search(r"^login ssh-", answer.output, flags=re.MULTILINE) is not None, answer.output.strip()


@check(step="modules")
def bootstrap_has_netfilter(cluster: ClusterView) -> None:
    """The bootstrap that the login node boots contains the netfilter modules."""
    lacking = bootstrap_of(cluster, "login").lacking(*NAMES)
    if not lacking:
        return
    missing = f"no {', '.join(lacking)}"
    if names_netfilter(drivers(cluster.sms.run(f"cat {CONF}").output)):
        raise failed(
            expected=f"{', '.join(NAMES)} in the bootstrap",
            actual=f"{missing}; bootstrap.conf lists netfilter, but the bootstrap was built without it",
            hint="Only `wwbootstrap` reads bootstrap.conf. It asks whether to overwrite the old bootstrap, "
            "and prints `Done.` after any answer.",
            node="sms",
            look="zcat /srv/warewulf/bootstrap/*/*/initfs.gz | cpio -it | grep nf_tables",
            final=True,
        )
    raise failed(
        expected=f"{', '.join(NAMES)} in the bootstrap",
        actual=f"{missing}; no drivers line in bootstrap.conf lists netfilter",
        hint="Which directory under /lib/modules has them on the SMS, and which setting adds it?",
        node="sms",
        look=f"grep drivers {CONF}",
        final=True,
    )


@check(step="boot", needs=[bootstrap_has_netfilter], settle=45)
def login_has_the_modules(cluster: ClusterView) -> None:
    """The login node has the netfilter modules for its kernel."""
    lacking = [name for name in NAMES if cluster.login.run(f"modinfo -n {name}").exit_status != 0]
    if not lacking:
        return
    booted = cluster.login.fact(systemd.booted)
    older = booted < bootstrap_of(cluster, "login").built
    raise failed(
        expected="modules for the kernel it runs",
        actual=f"no {', '.join(lacking)}; "
        + (
            "login booted before the bootstrap was built"
            if older
            else "login has booted since the bootstrap was built"
        ),
        hint="The bootstrap has them. A node gets its modules when it boots."
        if older
        else "`lab console login` shows which bootstrap it fetched.",
        node="login",
        look=f"uptime -s; modinfo -n {lacking[0]}",
        final=older and stands(cluster.login),
    )


@check(step="boot", needs=[login_has_the_modules], settle=45)
def firewall_runs(cluster: ClusterView) -> None:
    """The login node runs firewalld."""
    unit = cluster.login.fact(systemd.unit("firewalld.service"))
    state = cluster.login.run("firewall-cmd --state").output.strip()
    if unit.active != "active" or state != "running":
        raise failed(
            expected="firewalld is active and reports: running",
            actual=f"firewalld is {unit.active} and reports: {state}",
            hint="If the modules came after the boot, start the service again.",
            node="login",
            look="systemctl status firewalld",
        )


@check(step="boot", needs=[firewall_runs])
def modules_come_with_the_bootstrap(cluster: ClusterView) -> None:
    """The login node has loaded only modules that its bootstrap contains, so the next boot has them too."""
    strange = not_in_bootstrap(cluster, cluster.login)
    if strange:
        raise failed(
            expected="every loaded module in the bootstrap",
            actual=f"not there: {', '.join(strange)}",
            hint="What you copy to a node by hand is gone after its next boot. Add it to bootstrap.conf.",
            node="login",
            look="lsmod",
            final=True,
        )


@check(step="ban", needs=[firewall_runs], settle=10)
def stranger_was_banned(cluster: ClusterView) -> None:
    """Since it booted, the login node has banned the stranger's address for failed logins."""
    address, found = stranger(cluster).address, cluster.login.fact(fail2ban.bans("sshd"))
    if not found.earned(address):
        by_hand = found.banned(address)
        raise failed(
            expected=f"{found.allowed} failures of {address}, and a ban, in fail2ban's log",
            actual="a ban, but not so many failures before it: somebody has typed it"
            if by_hand
            else "no ban",
            hint="Such a ban does not show that a stranger would get one. Guess passwords from outside."
            if by_hand
            else "A ban needs five failures within ten minutes. Did you guess passwords from outside?",
            node="login",
            look=f"grep -E 'Found|Ban' {fail2ban.LOG}",
        )


@check(step="ban", needs=[stranger_was_banned])
def a_ban_is_a_ban(cluster: ClusterView) -> None:
    """While the stranger is banned, the login node refuses their connections."""
    if stranger(cluster).address not in banned(cluster).split():
        return  # the ban is over; the learner saw its effect in the stranger's terminal
    answers, seen = door(cluster)
    if answers:
        raise failed(
            expected="connection refused",
            actual=seen,
            hint="Was the firewall running when fail2ban made the ban?",
            node="outside",
            look="ssh user1@login",
        )


@check(step="pardon", needs=[stranger_was_banned], settle=10)
def stranger_may_try_again(cluster: ClusterView) -> None:
    """The ban has ended, and the login node accepts connections of the stranger again."""
    address = stranger(cluster).address
    if address in banned(cluster).split():
        raise failed(
            expected=f"{address} is no longer banned",
            actual=f"{address} is banned",
            hint="`fail2ban-client set` can end a ban.",
            node="login",
            look=STATUS,
        )
    answers, seen = door(cluster)
    if not answers:
        raise failed(
            expected="sshd on the login node answers",
            actual=seen or "no answer",
            hint="Is the rule in the firewall removed too?",
            node="outside",
            look="ssh user1@login",
        )
