"""SEC-2: fail2ban and firewalld are in the VNFS, run on the login node only, and have a log to read."""

from __future__ import annotations

import re

from lab.checks import (
    ClusterView,
    NodeView,
    check,
    chroot_of,
    conditions,
    failed,
    files_with_conditions,
    meets,
    of_each_kind,
    require_packed,
    stands,
)
from lab.facts import systemd, warewulf

SERVICES = ("fail2ban", "firewalld")
LOG = "/var/log/secure"  # of the cluster's jail.local
MADE = (  # what the steps change in the chroot; what tells most comes first
    "etc/fail2ban/jail.d",
    "etc/fail2ban",
    "etc/firewalld",
    "etc/rsyslog.conf",
    "etc/rsyslog.d",
    "etc/systemd/system",
    "usr/bin/fail2ban-server",
    "usr/lib/systemd/system/fail2ban.service",
    "usr/lib/systemd/system/firewalld.service",
    "usr/sbin/firewalld",
)


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


def jail_settings(cluster: ClusterView) -> dict[str, str]:
    """The settings of the jail for ssh in the chroot, with those of all jails below them."""
    root = chroot_of(cluster, "login")
    # In the order in which fail2ban reads them: the last setting wins (jail.conf(5)).
    words = cluster.sms.run(
        f"cd {root}/etc/fail2ban && cat jail.conf jail.d/*.conf jail.local jail.d/*.local 2>/dev/null"
    ).output
    section = ""
    found: dict[str, dict[str, str]] = {"DEFAULT": {"enabled": "false"}, "sshd": {}}
    for line in words.splitlines():
        if head := re.match(r"\s*\[(.+?)\]", line):
            section = head[1]
        elif setting := re.match(r"\s*([a-z]+)\s*=\s*(\S+)", line):
            found.setdefault(section, {})[setting[1]] = setting[2]
    return found["DEFAULT"] | found["sshd"]


def log_of(cluster: ClusterView) -> str:
    """The file that the jail for ssh reads; "" if it reads the journal."""
    settings = jail_settings(cluster)
    own = settings.get("logpath", "")
    return "" if settings.get("backend") == "systemd" else own if own.startswith("/") else LOG


@check(step="jail", needs=[image_has_both_services])
def jail_for_ssh_is_on(cluster: ClusterView) -> None:
    """fail2ban's jail for ssh is enabled in the chroot."""
    if jail_settings(cluster).get("enabled", "").lower() not in ("true", "yes", "on", "1"):
        raise failed(
            expected="[sshd] has enabled = true",
            actual="the jail is disabled",
            hint="Put your own settings into a file in jail.d whose name ends with .local.",
            node="sms",
            look=f"ls {chroot_of(cluster, 'login')}/etc/fail2ban/jail.d",
        )


def neighbours(cluster: ClusterView) -> tuple[NodeView, ...]:
    """Compute nodes that boot the same VNFS as the login node."""
    own = cluster.sms.fact(warewulf.provision_print("login")).vnfs
    nodes = of_each_kind(cluster.compute)
    return tuple(node for node in nodes if cluster.sms.fact(warewulf.provision_print(node.name)).vnfs == own)


@check(step="where", needs=[image_has_both_services])
def services_are_for_login_only(cluster: ClusterView) -> None:
    """In the chroot, each of the two services has a condition that restricts where it runs."""
    root = chroot_of(cluster, "login")
    lacking = [
        service
        for service in SERVICES
        if not cluster.sms.run(files_with_conditions(root, f"{service}.service")).output.strip()
    ]
    if lacking and neighbours(cluster):
        raise failed(
            expected="a condition in an override of each service",
            actual=f"no condition for {', '.join(lacking)}",
            hint="The compute nodes boot this VNFS too, and would run them.",
            node="sms",
            look=f"ls {root}/etc/systemd/system/{lacking[0]}.service.d",
        )


@check(step="where", needs=[services_are_for_login_only], settle=45)
def conditions_sort_the_nodes(cluster: ClusterView) -> None:
    """The login node meets these conditions, and no compute node does, so its next boot starts neither."""
    root = chroot_of(cluster, "login")
    found = {service: conditions(cluster, root, f"{service}.service") for service in SERVICES}
    others = neighbours(cluster) if any(found.values()) else ()
    for service, tests in found.items():
        told = ", ".join(tests)
        look = f"systemd-analyze condition {' '.join(map(repr, tests))}"
        for node in others if tests else ():
            if meets(node, tests):
                raise failed(
                    expected=f"conditions of {service} that {node.name} does not meet",
                    actual=f"it meets: {told}",
                    hint="It would start the service at its next boot. Which host names do they allow?",
                    node=node.name,
                    look=look,
                    final=True,
                )
        if not meets(cluster.login, tests):
            raise failed(
                expected=f"conditions of {service} that login meets",
                actual=f"it does not meet: {told}",
                hint="All conditions must be met, unless each begins with `|`.",
                node="login",
                look=look,
                final=True,
            )


@check(step="log")
def image_keeps_logins_in_a_log(cluster: ClusterView) -> None:
    """In the chroot, rsyslog is configured to write login messages to the log that fail2ban reads."""
    root, log = chroot_of(cluster, "login"), log_of(cluster)
    line = rf"^\s*[^#]*(authpriv|\*)\.[^#]*{log}"
    places = f"{root}/etc/rsyslog.conf {root}/etc/rsyslog.d/*.conf"
    if log and cluster.sms.run(f"grep -qsE '{line}' {places}").exit_status != 0:
        raise failed(
            expected=f"a line authpriv.* {log}",
            actual="none that is not commented out",
            hint="Without it the node only sends such messages to the SMS; fail2ban cannot read them.",
            node="sms",
            look=f"grep -r secure {root}/etc/rsyslog.conf {root}/etc/rsyslog.d",
        )


@check(
    step="boot",
    needs=[jail_for_ssh_is_on, services_are_for_login_only, image_keeps_logins_in_a_log],
)
def image_is_packed(cluster: ClusterView) -> None:
    """The VNFS is packed with all of this, so the next boot of the login node brings it."""
    require_packed(cluster, "login", *MADE)


@check(step="boot", needs=[image_is_packed, conditions_sort_the_nodes], settle=60)
def login_watches_logins(cluster: ClusterView) -> None:
    """fail2ban runs on the login node and has a jail for ssh."""
    unit = cluster.login.fact(systemd.unit("fail2ban.service"))
    if unit.load == "not-found":
        raise failed(
            expected="fail2ban on the login node",
            actual="the VNFS it booted has none",
            hint="The VNFS is packed with it now. Reboot the login node.",
            node="login",
            look="systemctl status fail2ban",
            final=stands(cluster.login),
        )
    if unit.active != "active":
        raise failed(
            expected="fail2ban is active",
            actual=f"fail2ban is {unit.active}" + ("" if unit.condition else ": its condition is unmet"),
            hint="`journalctl -u fail2ban` says why." if unit.condition else "Which names did it boot with?",
            node="login",
            look="systemctl status fail2ban",
        )
    status, output = jail_answer(cluster.login)
    if status != 0:
        raise failed(
            expected="a jail called sshd",
            actual=output,
            hint="The VNFS is packed with the jail. Did the node boot before that?",
            node="login",
            look="fail2ban-client status sshd",
        )


@check(step="boot", needs=[login_watches_logins], settle=20)
def logins_are_written_there(cluster: ClusterView) -> None:
    """On the login node, rsyslog writes logins to the log that fail2ban reads."""
    log = log_of(cluster)
    if not log:
        return  # the journal has every login
    size = f"stat -c %s {log}"
    before = cluster.login.run(size)
    cluster.sms.run("ssh -o BatchMode=yes -o ConnectTimeout=5 login true")  # must be written there
    if before.exit_status != 0:
        actual = "there is no such file"
    elif cluster.login.run(size).output != before.output:
        return
    else:
        actual = "it is empty" if before.output.strip() == "0" else "a login did not make it longer"
    raise failed(
        expected=f"lines in {log}",
        actual=actual,
        hint="We have just logged in by ssh. Does rsyslog write logins to this file?",
        node="login",
        look=f"ls -l {log}",
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
