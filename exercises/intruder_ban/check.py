"""SEC-2: fail2ban and firewalld are in the VNFS, run on the login node only, and have a log to read."""

from __future__ import annotations

import re

from lab.checks import ClusterView, NodeView, check, chroot_of, failed
from lab.facts import systemd

SERVICES = ("fail2ban", "firewalld")
CONDITION = r"^\s*((Condition|Assert)[A-Za-z]+|ExecCondition)\s*=\s*[^[:space:]]"
LOG = "/var/log/secure"


def unit_files(root: str, service: str) -> str:
    """Paths of a service's unit and its overrides under a root folder."""
    places = ("/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
    return " ".join(f"{root}{place}/{service}.service{more}" for place in places for more in ("", ".d"))


def jail_answer(node: NodeView) -> tuple[int, str]:
    """What fail2ban on a node reports about its jail for ssh."""
    answer = node.run("fail2ban-client status sshd")
    return answer.exit_status, answer.output.strip()


@check(step="install")
def image_has_both_services(cluster: ClusterView) -> None:
    """fail2ban and firewalld are installed and enabled in the chroot."""
    root = chroot_of(cluster, "login")
    states = {}
    for service in SERVICES:
        answer = cluster.sms.run(f"systemctl --root={root} is-enabled {service}")
        words = answer.output.split()
        known = len(words) == 1 and words[0] != "not-found"
        states[service] = words[0] if known else "not installed"
    if all(state in ("enabled", "enabled-runtime") for state in states.values()):
        return
    missing = "not installed" in states.values()
    raise failed(
        expected="both are enabled",
        actual=states,
        hint="`yum install --installroot=…` installs into the chroot. A node loses packages at its next boot."
        if missing
        else "An installed service is not yet enabled: run `systemctl enable` in the chroot.",
        node="sms",
        look=f"systemctl --root={root} is-enabled {' '.join(SERVICES)}",
    )


@check(step="jail", needs=[image_has_both_services])
def jail_for_ssh_is_on(cluster: ClusterView) -> None:
    """fail2ban's jail for ssh is enabled in the chroot."""
    root = chroot_of(cluster, "login")
    # In the order in which fail2ban reads them: the last setting wins (jail.conf(5)).
    words = cluster.sms.run(
        f"cd {root}/etc/fail2ban && cat jail.conf jail.d/*.conf jail.local jail.d/*.local 2>/dev/null"
    ).output
    section, state = "", {"": "false", "DEFAULT": "false"}
    for line in words.splitlines():
        if found := re.match(r"\s*\[(.+?)\]", line):
            section = found[1]
        elif found := re.match(r"\s*enabled\s*=\s*(\S+)", line):
            state[section] = found[1].lower()
    if state.get("sshd", state["DEFAULT"]) not in ("true", "yes", "on", "1"):
        raise failed(
            expected="[sshd] has enabled = true",
            actual="the jail is disabled",
            hint="Put your own settings into a file in jail.d whose name ends with .local.",
            node="sms",
            look=f"ls {root}/etc/fail2ban/jail.d",
        )


@check(step="where", needs=[image_has_both_services])
def services_are_for_login_only(cluster: ClusterView) -> None:
    """In the chroot, each of the two services has a condition that restricts where it runs."""
    root = chroot_of(cluster, "login")
    lacking = [
        service
        for service in SERVICES
        if cluster.sms.run(f"grep -rqsE '{CONDITION}' {unit_files(root, service)}").exit_status != 0
    ]
    if lacking:
        raise failed(
            expected="a condition in an override of each service",
            actual=f"no condition for {', '.join(lacking)}",
            hint="The compute nodes boot this VNFS too, and would run them.",
            node="sms",
            look=f"ls {root}/etc/systemd/system/{lacking[0]}.service.d",
        )


@check(step="log")
def image_keeps_logins_in_a_log(cluster: ClusterView) -> None:
    """In the chroot, rsyslog is configured to write login messages to /var/log/secure."""
    root = chroot_of(cluster, "login")
    line = rf"^\s*[^#]*(authpriv|\*)\.[^#]*{LOG}"
    places = f"{root}/etc/rsyslog.conf {root}/etc/rsyslog.d/*.conf"
    if cluster.sms.run(f"grep -qsE '{line}' {places}").exit_status != 0:
        raise failed(
            expected=f"a line authpriv.* {LOG}",
            actual="none that is not commented out",
            hint="Without it the node only sends such messages to the SMS; fail2ban cannot read them.",
            node="sms",
            look=f"grep -r secure {root}/etc/rsyslog.conf {root}/etc/rsyslog.d",
        )


@check(
    step="boot",
    needs=[jail_for_ssh_is_on, services_are_for_login_only, image_keeps_logins_in_a_log],
    settle=60,
)
def login_watches_logins(cluster: ClusterView) -> None:
    """fail2ban runs on the login node and has a jail for ssh."""
    unit = cluster.login.fact(systemd.unit("fail2ban.service"))
    if unit.load == "not-found":
        raise failed(
            expected="fail2ban on the login node",
            actual="the VNFS it booted has none",
            hint="Was the chroot packed with `sudo wwvnfs`, and has login booted since then?",
            node="login",
            look="systemctl status fail2ban",
        )
    if unit.active != "active":
        raise failed(
            expected="fail2ban is active",
            actual=f"fail2ban is {unit.active}" + ("" if unit.condition else ": its condition is unmet"),
            hint="`journalctl -u fail2ban` says why." if unit.condition else "Which names does it allow?",
            node="login",
            look="systemctl status fail2ban",
        )
    status, output = jail_answer(cluster.login)
    if status != 0:
        raise failed(
            expected="a jail called sshd",
            actual=output,
            hint="Did the node boot before the jail was enabled and the VNFS packed?",
            node="login",
            look="fail2ban-client status sshd",
        )


@check(step="boot", needs=[login_watches_logins], settle=20)
def logins_are_written_there(cluster: ClusterView) -> None:
    """On the login node, rsyslog writes logins to the log that fail2ban reads."""
    cluster.sms.run("ssh -o BatchMode=yes -o ConnectTimeout=5 login true")  # must be written there
    size = cluster.login.run(f"stat -c %s {LOG}")
    if size.exit_status != 0 or size.output.strip() == "0":
        raise failed(
            expected=f"lines in {LOG}",
            actual="it is empty" if size.exit_status == 0 else "there is no such file",
            hint="We have just logged in by ssh. Does rsyslog write logins to this file?",
            node="login",
            look=f"ls -l {LOG}",
        )


@check(step="boot", needs=[login_watches_logins])
def compute_nodes_do_not(cluster: ClusterView) -> None:
    """Neither service runs on the compute nodes."""
    for node in cluster.compute:
        running = [
            service
            for service in SERVICES
            if node.fact(systemd.unit(f"{service}.service")).active in ("active", "activating", "failed")
        ]
        if running:
            raise failed(
                expected="both services are skipped there",
                actual=f"{', '.join(running)} was started",
                hint="Which host names does the condition allow?",
                node=node.name,
                look=f"systemctl status {running[0]}",
            )
