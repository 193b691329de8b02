"""LOGIN-1: the login node is registered, has everything it boots from, and has booted correctly."""

from __future__ import annotations

import re

from lab.checks import ClusterView, check, failed, stands
from lab.facts import storage, systemd, warewulf

FILES = ("dynamic_hosts", "passwd", "group", "shadow", "munge.key", "network")
DHCP_HOSTS = "/etc/warewulf/dnsmasq.hosts"
SHARED = ("/home", "/opt/ohpc/pub")
SSH = "ssh -o BatchMode=yes -o ConnectTimeout=3 login"
BOOTED = "init"  # the stage of a node whose own system runs


def differing_pairs(found: str, wanted: str) -> str:
    """Describes which pairs of two MAC addresses differ."""
    if found.count(":") != wanted.count(":"):
        return f"{found} has {found.count(':') + 1} pairs, not {wanted.count(':') + 1}"
    pairs = zip(found.split(":"), wanted.split(":"), strict=True)
    wrong = [f"pair {n} is {f}, not {w}" for n, (f, w) in enumerate(pairs, start=1) if f != w]
    return f"{found} ({', '.join(wrong)})"


def cards(cluster: ClusterView, key: str) -> list[str]:
    """The values of HWADDR or IPADDR in the node object, of all its network devices."""
    found = cluster.sms.fact(warewulf.node_print("login"))
    values = [value for name, value in found.items() if name.endswith(f".{key}") and value]
    return [part.lower() for value in values for part in value.split(",")]


@check(step="register")
def node_is_known(cluster: ClusterView) -> None:
    """Warewulf has a node object called login."""
    rows = cluster.sms.fact(warewulf.node_list)
    if any(row.name == "login" for row in rows):
        return
    mac = cluster.login.mac
    others = [row.name for row in rows if mac in (found.lower() for found in row.macs)]
    raise failed(
        expected="a node object called login",
        actual=f"{others[0]!r} has its MAC address" if others else [row.name for row in rows],
        hint="It needs a name, a device, an IP and a MAC address; `wwsh node help` lists the options.",
        node="sms",
        look="wwsh node list",
    )


@check(step="register", needs=[node_is_known])
def mac_is_the_handouts(cluster: ClusterView) -> None:
    """Its MAC address is the one on your handout."""
    mac = cluster.login.mac
    found = cards(cluster, "HWADDR")
    if mac not in found:
        raise failed(
            expected=mac,
            actual=differing_pairs(found[0], mac) if found else None,
            hint="The firmware prints the MAC address of its network card: `lab console login`.",
            node="sms",
            look="wwsh node print login",
        )


@check(step="register", needs=[node_is_known])
def address_is_right(cluster: ClusterView) -> None:
    """Its IP address is the one planned for the login node."""
    found = cards(cluster, "IPADDR")
    if cluster.login.address not in found:
        raise failed(
            expected=cluster.login.address,
            actual=found,
            hint="`sudo wwsh node set login --netdev eth0 --ipaddr=…` changes it.",
            node="sms",
            look="wwsh node print login",
        )


@check(step="register", needs=[mac_is_the_handouts, address_is_right])
def dhcp_will_answer(cluster: ClusterView) -> None:
    """The DHCP server has an entry with this MAC address and this IP address."""
    login = cluster.login
    lines = cluster.sms.run(f"cat {DHCP_HOSTS}").output.lower().splitlines()
    entries = [line for line in lines if login.mac in line and not line.lstrip().startswith("#")]
    look = f"grep login {DHCP_HOSTS}"
    if not any(login.address in entry.split(",") for entry in entries):
        raise failed(
            expected=f"an entry with {login.mac} and {login.address}",
            actual=entries or "no entry for this MAC address",
            hint="`sudo wwsh dhcp update` writes the entries again.",
            node="sms",
            look=look,
        )
    server = cluster.sms.fact(systemd.unit("dnsmasq.service"))
    if server.active != "active":
        raise failed(
            expected="a running DHCP server",
            actual=f"dnsmasq is {server.active}",
            node="sms",
            look="systemctl --no-pager status dnsmasq",
        )


@check(step="assign", needs=[node_is_known])
def vnfs_is_assigned(cluster: ClusterView) -> None:
    """The node is assigned a VNFS that exists in Warewulf."""
    known = [row.name for row in cluster.sms.fact(warewulf.vnfs_list)]
    found = cluster.sms.fact(warewulf.provision_print("login")).vnfs
    if found not in known:
        raise failed(
            expected=f"one of: {', '.join(known)}",
            actual=found,
            hint="`sudo wwsh provision set login --vnfs=…`; `wwsh vnfs list` lists the names.",
            node="sms",
            look="wwsh provision print login",
        )


@check(step="assign", needs=[node_is_known])
def bootstrap_is_assigned(cluster: ClusterView) -> None:
    """The node is assigned a bootstrap that exists in Warewulf."""
    known = [row.name for row in cluster.sms.fact(warewulf.bootstrap_list)]
    found = cluster.sms.fact(warewulf.provision_print("login")).bootstrap
    if found not in known:
        raise failed(
            expected=f"one of: {', '.join(known)}",
            actual=found,
            hint="`sudo wwsh provision set login --bootstrap=…`; `wwsh bootstrap list` lists the names.",
            node="sms",
            look="wwsh provision print login",
        )


@check(step="assign", needs=[node_is_known])
def files_are_assigned(cluster: ClusterView) -> None:
    """The node is assigned the six files that every node needs."""
    found = cluster.sms.fact(warewulf.provision_print("login")).files
    missing = [name for name in FILES if name not in found]
    if missing:
        raise failed(
            expected=FILES,
            actual=f"{', '.join(found) or 'none'} (missing: {', '.join(missing)})",
            hint="`--fileadd=…` adds to the list, `--files=…` replaces it. "
            "A file that was copied to the node by hand is gone after its next boot.",
            node="sms",
            look="wwsh provision print login",
        )


@check(step="assign", needs=[bootstrap_is_assigned, mac_is_the_handouts])
def boot_script_names_the_bootstrap(cluster: ClusterView) -> None:
    """The boot script for this MAC address names the bootstrap."""
    bootstrap = cluster.sms.fact(warewulf.provision_print("login")).bootstrap
    script = f"/srv/warewulf/ipxe/cfg/{cluster.login.mac}"
    answer = cluster.sms.run(f"cat {script}")
    if answer.exit_status != 0 or bootstrap not in answer.output:
        raise failed(
            expected=f"a boot script that names {bootstrap}",
            actual=answer.output if answer.exit_status == 0 else "no such script",
            hint="`sudo wwsh pxe update` writes the boot scripts again.",
            node="sms",
            look=f"cat {script}",
        )


def require_planned_address(cluster: ClusterView) -> None:
    """Fails when the login node is up with another address than the one that Warewulf has for it now."""
    login = cluster.login
    outside = str(cluster.spec.node(login.name).external)
    shown = login.run("ip -c=never -4 -o address show scope global").output
    found = [address for address in re.findall(r"\binet ([0-9.]+)", shown) if address != outside]
    if found and login.address not in found:
        raise failed(
            expected=f"login is up with the address {login.address}",
            actual=f"it is up with {' and '.join(found)}",
            hint="A node takes its address when it boots, and this one booted before you changed it. "
            "`lab reset login` power-cycles it.",
            node="login",
            look="ip address show",
            final=stands(login),
        )


@check(
    step="boot",
    needs=[dhcp_will_answer, boot_script_names_the_bootstrap, vnfs_is_assigned, files_are_assigned],
    settle=120,
)
def login_answers(cluster: ClusterView) -> None:
    """The login node has booted and accepts ssh connections."""
    answer = cluster.sms.run(f"{SSH} true")
    if answer.exit_status == 0:
        return
    if cluster.login.is_off:
        raise failed(
            expected="ssh from the SMS opens a shell on login",
            actual="login is powered off",
            node="login",
            look="lab power on login",
            final=True,
        )
    state = cluster.login.state()
    if state.stage == BOOTED:
        require_planned_address(cluster)
        raise failed(
            expected="ssh from the SMS opens a shell on login",
            actual=f"login has booted; ssh says: {answer.output.strip() or f'status {answer.exit_status}'}",
            hint="Does its ssh server run, and does the SMS find the address of the name?",
            node="sms",
            look="sudo ssh login true",
        )
    raise failed(
        expected="ssh from the SMS opens a shell on login",
        actual=f"stage {state.stage or 'unknown'}: {state.detail or answer.output.strip()}",
        hint="Its console shows which link of the boot chain it has reached.",
        node="sms",
        look="lab console login",
    )


@check(step="boot", needs=[login_answers])
def name_is_login(cluster: ClusterView) -> None:
    """The host name of the machine is login."""
    found = cluster.login.run("hostname -s").output.strip()
    if found != "login":
        raise failed(
            expected="login",
            actual=found,
            hint="A node takes its name when it boots: reboot it.",
            node="login",
            look="hostname",
            final=True,
        )


@check(step="look", needs=[login_answers])
def root_is_in_memory(cluster: ClusterView) -> None:
    """Its root file system is in memory and may use about half of it."""
    root = cluster.login.fact(storage.mount("/"))
    if root.fstype != cluster.root_kind:
        raise failed(expected=cluster.root_kind, actual=root.fstype, node="login", look="findmnt /")
    share = root.size / (cluster.login.memory * 1024 * 1024)
    if not 0.35 <= share <= 0.65:
        raise failed(
            expected=f"about {cluster.login.memory // 2} MiB",
            actual=f"{root.size // 1024**2} MiB",
            node="login",
            look="df -h /",
        )


@check(step="look", needs=[login_answers], settle=20)
def folders_are_the_sms_s(cluster: ClusterView) -> None:
    """Its /home and /opt/ohpc/pub are those of the SMS."""
    made = "; ".join(f"s{n}=$(mktemp {folder}/.seen-XXXXXX)" for n, folder in enumerate(SHARED))
    signs = " ".join(f"$s{n}" for n in range(len(SHARED)))
    seen = cluster.sms.run(f"{made}; {SSH} ls -d {signs} 2>/dev/null; rm -f {signs}").output
    missing = [folder for folder in SHARED if f"{folder}/.seen-" not in seen]
    if missing:
        raise failed(
            expected=f"{' and '.join(SHARED)} of the SMS, mounted on login",
            actual=f"a file created on the SMS in {' and in '.join(missing)} is not there on login",
            hint="`systemctl --failed` on login lists the mounts that failed.",
            node="login",
            look=f"df -h {' '.join(SHARED)}",
        )


@check(step="look", needs=[login_answers])
def neighbours_are_known(cluster: ClusterView) -> None:
    """Its /etc/hosts has the addresses of the SMS and of the compute nodes."""
    lines = [line.split("#")[0].split() for line in cluster.login.run("cat /etc/hosts").output.splitlines()]
    known = {name: words[0] for words in lines if words for name in words[1:]}
    wanted = {node.name: node.address for node in (cluster.sms, *cluster.compute)}
    missing = [f"{name} {address}" for name, address in wanted.items() if known.get(name) != address]
    if missing:
        raise failed(
            expected=[f"{name} {address}" for name, address in wanted.items()],
            actual=f"missing: {', '.join(missing)}",
            hint="This is the file dynamic_hosts. Warewulf writes it, and the node gets it at boot.",
            node="login",
            look="cat /etc/hosts",
        )


@check(step="look", needs=[login_answers], settle=20)
def munge_agrees(cluster: ClusterView) -> None:
    """Each of the two nodes, login and SMS, accepts munge credentials of the other."""
    ways = {
        "munge -n | sudo ssh login unmunge": f"munge -n | {SSH} unmunge",
        "sudo ssh login munge -n | unmunge": f"{SSH} munge -n | unmunge",
    }
    for look, command in ways.items():
        answer = cluster.sms.run(command)
        if answer.exit_status != 0:
            raise failed(
                expected="Success (0)",
                actual=answer.output,
                hint="Both need the same key. Was munge.key assigned before the node booted?",
                node="sms",
                look=look,
            )
