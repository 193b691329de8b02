"""SEC-3: the bootstrap has netfilter, the firewall of the login node runs, and it enforces bans."""

from __future__ import annotations

import re

from lab.checks import ClusterView, NodeView, check, failed
from lab.facts import systemd

CONF = "/etc/warewulf/bootstrap.conf"
NETFILTER = "kernel/net/netfilter/"
NAMES = ("nf_tables", "nft_ct", "nfnetlink")
LOG = "/var/log/fail2ban.log"
STATUS = "fail2ban-client status sshd"


def drivers(text: str) -> list[str]:
    """The words in the `drivers += …` lines of bootstrap.conf."""
    lines = re.findall(r"^\s*drivers\s*\+?=(.*)$", text, flags=re.MULTILINE)
    return re.split(r"[\s,]+", " ".join(line.split("#")[0] for line in lines).strip())


def names_netfilter(words: list[str]) -> bool:
    """Whether a list of drivers contains what a firewall needs, by folder or by module names."""
    folders = [word.strip("/") + "/" for word in words if "/" in word]
    return any(NETFILTER.startswith(folder) for folder in folders) or set(NAMES) <= set(words)


def stranger(cluster: ClusterView) -> NodeView:
    """The machine outside."""
    return cluster.node(next(node.name for node in cluster.spec.nodes if node.role.value == "outside"))


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
def bootstrap_conf_names_netfilter(cluster: ClusterView) -> None:
    """bootstrap.conf on the SMS lists the netfilter modules."""
    text = cluster.sms.run(f"cat {CONF}").output
    if not names_netfilter(drivers(text)):
        raise failed(
            expected="kernel/net/, or the netfilter modules by name",
            actual="no drivers line lists them",
            hint="Which directory under /lib/modules has them on the SMS, and which setting adds it?",
            node="sms",
            look=f"grep drivers {CONF}",
        )


@check(step="boot", needs=[bootstrap_conf_names_netfilter], settle=45)
def login_has_the_modules(cluster: ClusterView) -> None:
    """The login node has the netfilter modules for its kernel."""
    lacking = [name for name in NAMES if cluster.login.run(f"modinfo -n {name}").exit_status != 0]
    if lacking:
        raise failed(
            expected="modules for the kernel it runs",
            actual=f"no {', '.join(lacking)}",
            hint="Did you build the bootstrap again, overwrite the old one, and then reboot the node?",
            node="login",
            look=f"modinfo -n {lacking[0]}",
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


@check(step="ban", needs=[firewall_runs], settle=10)
def stranger_was_banned(cluster: ClusterView) -> None:
    """The login node has banned the stranger's address since it booted."""
    address = stranger(cluster).address
    if not re.search(rf"\[sshd\] Ban {re.escape(address)}$", log(cluster), flags=re.MULTILINE):
        raise failed(
            expected=f"[sshd] Ban {address} in fail2ban's log",
            actual="no such line",
            hint="A ban needs five failures within ten minutes. Did you guess passwords from outside?",
            node="login",
            look=f"grep Ban {LOG}",
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


def log(cluster: ClusterView) -> str:
    """fail2ban's lines about bans."""
    return cluster.login.run(f"grep -hE 'Ban|Unban' {LOG}").output
