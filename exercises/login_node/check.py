"""LOGIN-1: the login node is registered, knows what to boot, and came up as it should."""

from __future__ import annotations

from lab.checks import Cluster, check, failed
from lab.facts import storage, systemd, warewulf

FILES = ("dynamic_hosts", "passwd", "group", "shadow", "munge.key", "network")
DHCP_HOSTS = "/etc/warewulf/dnsmasq.hosts"
SHARED = ("/home", "/opt/ohpc/pub")
SSH = "ssh -o BatchMode=yes -o ConnectTimeout=3 login"


def differing_pairs(found: str, wanted: str) -> str:
    """Says which pairs of two addresses differ."""
    if found.count(":") != wanted.count(":"):
        return f"{found} has {found.count(':') + 1} pairs, not {wanted.count(':') + 1}"
    pairs = zip(found.split(":"), wanted.split(":"), strict=True)
    wrong = [f"pair {n} is {f}, not {w}" for n, (f, w) in enumerate(pairs, start=1) if f != w]
    return f"{found} ({', '.join(wrong)})"


def cards(cluster: Cluster, key: str) -> list[str]:
    """The values that the node object has for HWADDR or IPADDR, over all its cards."""
    found = cluster.sms.fact(warewulf.node_print("login"))
    values = [value for name, value in found.items() if name.endswith(f".{key}") and value]
    return [part.lower() for value in values for part in value.split(",")]


@check(step="register")
def node_is_known(cluster: Cluster) -> None:
    """Warewulf has a node object called login."""
    rows = cluster.sms.fact(warewulf.node_list)
    if any(row.name == "login" for row in rows):
        return
    mac = cluster.login.mac
    others = [row.name for row in rows if mac in (found.lower() for found in row.macs)]
    raise failed(
        expected="a node object called login",
        actual=f"the login node's MAC is that of {others[0]!r}" if others else [row.name for row in rows],
        hint="A node object has a name, a card, an address and a MAC; `wwsh node help` shows the options.",
        node="sms",
        look="wwsh node list",
    )


@check(step="register", needs=[node_is_known])
def mac_is_the_handouts(cluster: Cluster) -> None:
    """Its MAC address is the one on your handout."""
    mac = cluster.login.mac
    found = cards(cluster, "HWADDR")
    if mac not in found:
        raise failed(
            expected=mac,
            actual=differing_pairs(found[0], mac) if found else None,
            hint="The machine keeps calling with the MAC of its card; `lab console login` shows it.",
            node="sms",
            look="wwsh node print login",
        )


@check(step="register", needs=[node_is_known])
def address_is_right(cluster: Cluster) -> None:
    """Its address is the one planned for the login node."""
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
def dhcp_will_answer(cluster: Cluster) -> None:
    """The DHCP server knows the MAC and has that address for it."""
    login = cluster.login
    lines = cluster.sms.run(f"cat {DHCP_HOSTS}").output.lower().splitlines()
    entries = [line for line in lines if login.mac in line and not line.lstrip().startswith("#")]
    look = f"grep login {DHCP_HOSTS}"
    if not any(login.address in entry.split(",") for entry in entries):
        raise failed(
            expected=f"an entry with {login.mac} and {login.address}",
            actual=entries or "no entry for this MAC",
            hint="`sudo wwsh dhcp update` writes the entries anew.",
            node="sms",
            look=look,
        )
    server = cluster.sms.fact(systemd.unit("dnsmasq.service"))
    if server.active != "active":
        raise failed(
            expected="the DHCP server runs",
            actual=f"dnsmasq is {server.active}",
            node="sms",
            look="systemctl --no-pager status dnsmasq",
        )


@check(step="assign", needs=[node_is_known])
def vnfs_is_assigned(cluster: Cluster) -> None:
    """The node has a VNFS, and Warewulf has that VNFS."""
    known = [row.name for row in cluster.sms.fact(warewulf.vnfs_list)]
    found = cluster.sms.fact(warewulf.provision_print("login")).vnfs
    if found not in known:
        raise failed(
            expected=f"one of: {', '.join(known)}",
            actual=found,
            hint="`sudo wwsh provision set login --vnfs=…`; `wwsh vnfs list` shows what there is.",
            node="sms",
            look="wwsh provision print login",
        )


@check(step="assign", needs=[node_is_known])
def bootstrap_is_assigned(cluster: Cluster) -> None:
    """The node has a bootstrap, and Warewulf has that bootstrap."""
    known = [row.name for row in cluster.sms.fact(warewulf.bootstrap_list)]
    found = cluster.sms.fact(warewulf.provision_print("login")).bootstrap
    if found not in known:
        raise failed(
            expected=f"one of: {', '.join(known)}",
            actual=found,
            hint="`sudo wwsh provision set login --bootstrap=…`; `wwsh bootstrap list` shows what there is.",
            node="sms",
            look="wwsh provision print login",
        )


@check(step="assign", needs=[node_is_known])
def files_are_assigned(cluster: Cluster) -> None:
    """The node gets the six files that every node needs."""
    found = cluster.sms.fact(warewulf.provision_print("login")).files
    missing = [name for name in FILES if name not in found]
    if missing:
        raise failed(
            expected=FILES,
            actual=f"{', '.join(found) or 'none'} (missing: {', '.join(missing)})",
            hint="`--fileadd=…` adds to the list, `--files=…` replaces it.",
            node="sms",
            look="wwsh provision print login",
        )


@check(step="assign", needs=[bootstrap_is_assigned, mac_is_the_handouts])
def boot_script_names_the_bootstrap(cluster: Cluster) -> None:
    """The boot script that waits for this MAC names the bootstrap."""
    bootstrap = cluster.sms.fact(warewulf.provision_print("login")).bootstrap
    script = f"/srv/warewulf/ipxe/cfg/{cluster.login.mac}"
    answer = cluster.sms.run(f"cat {script}")
    if answer.exit_status != 0 or bootstrap not in answer.output:
        raise failed(
            expected=f"a boot script with {bootstrap}",
            actual=answer.output if answer.exit_status == 0 else "no such script",
            hint="`sudo wwsh pxe update` writes the boot scripts anew.",
            node="sms",
            look=f"cat {script}",
        )


@check(
    step="boot",
    needs=[dhcp_will_answer, boot_script_names_the_bootstrap, vnfs_is_assigned, files_are_assigned],
    settle=120,
)
def login_answers(cluster: Cluster) -> None:
    """The login node has come up and answers ssh."""
    answer = cluster.sms.run(f"{SSH} true")
    if answer.exit_status == 0:
        return
    if cluster.login.is_off:
        raise failed(
            expected="ssh from the SMS opens a shell on login",
            actual="login's power is off",
            node="login",
            look="lab power on login",
            final=True,
        )
    state = cluster.login.state()
    raise failed(
        expected="ssh from the SMS opens a shell on login",
        actual=f"stage {state.stage or 'unknown'}: {state.detail or answer.output.strip()}",
        hint="Its console tells which link of the chain it has reached.",
        node="sms",
        look="lab console login",
    )


@check(step="boot", needs=[login_answers])
def name_is_login(cluster: Cluster) -> None:
    """The machine calls itself login."""
    found = cluster.login.run("hostname -s").output.strip()
    if found != "login":
        raise failed(expected="login", actual=found, node="login", look="hostname")


@check(step="look", needs=[login_answers])
def root_is_in_memory(cluster: Cluster) -> None:
    """Its root file system lives in memory and may fill about half of it."""
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
def folders_are_the_sms_s(cluster: Cluster) -> None:
    """What the SMS has in /home and /opt/ohpc/pub is seen there too."""
    made = "; ".join(f"s{n}=$(mktemp {folder}/.seen-XXXXXX)" for n, folder in enumerate(SHARED))
    signs = " ".join(f"$s{n}" for n in range(len(SHARED)))
    seen = cluster.sms.run(f"{made}; {SSH} ls -d {signs} 2>/dev/null; rm -f {signs}").output
    missing = [folder for folder in SHARED if f"{folder}/.seen-" not in seen]
    if missing:
        raise failed(
            expected=f"what is in {' and '.join(SHARED)} on the SMS",
            actual=f"a file made on the SMS in {' and in '.join(missing)} is not there on login",
            hint="`systemctl --failed` on login tells of mounts that did not work.",
            node="login",
            look=f"df -h {' '.join(SHARED)}",
        )


@check(step="look", needs=[login_answers])
def neighbours_are_known(cluster: Cluster) -> None:
    """Its /etc/hosts has the addresses of the SMS and of the compute nodes."""
    lines = [line.split("#")[0].split() for line in cluster.login.run("cat /etc/hosts").output.splitlines()]
    known = {name: words[0] for words in lines if words for name in words[1:]}
    wanted = {node.name: node.address for node in (cluster.sms, *cluster.compute)}
    missing = [f"{name} {address}" for name, address in wanted.items() if known.get(name) != address]
    if missing:
        raise failed(
            expected=[f"{name} {address}" for name, address in wanted.items()],
            actual=f"missing: {', '.join(missing)}",
            hint="This is the file dynamic_hosts, which Warewulf writes and lays down at boot.",
            node="login",
            look="cat /etc/hosts",
        )


@check(step="look", needs=[login_answers], settle=20)
def munge_agrees(cluster: Cluster) -> None:
    """A munge credential of either machine is accepted by the other."""
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
                hint="Both must hold the same key. Was munge.key assigned before the node booted?",
                node="sms",
                look=look,
            )
