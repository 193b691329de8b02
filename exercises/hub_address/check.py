"""PORTAL-1: the Hub's next start takes an address that nodes reach; the running Hub has it; a server answers.

What the next start takes is what Warewulf gives to the login node: the file in the node's memory is lost.
"""

from __future__ import annotations

import re
import shlex

from lab.checks import ClusterView, check, coming_hub, failed
from lab.facts import portal, slurm

LOGS = "/home/*/jupyterhub_slurmspawner_*.log"
REFUSED = r"hub/api/batchspawner.*(Connection refused|NewConnectionError)"
HUB = 8081
EVERYWHERE = ("", "0.0.0.0", "::", "*")  # noqa: S104 (what a learner may write)


@check(step="look")
def a_server_was_seen_to_fail(cluster: ClusterView) -> None:
    """A server's job has tried to reach the Hub, and was refused."""
    found = cluster.sms.run(f"grep -lE {shlex.quote(REFUSED)} {LOGS} 2>/dev/null")
    if not found.output.strip():
        raise failed(
            expected="the output of a job that could not reach the Hub",
            actual="there is none in the users' home folders",
            hint="Have the Hub start a server of user1's, and read what its job wrote.",
            node="sms",
            look=f"ls {LOGS}",
        )


def host_of(url: str) -> str:
    """The host in a URL; "" if there is none."""
    found = re.match(r"[a-z]+://\[?([^/\]]*?)\]?(?::[0-9]+)?(?:/|\Z)", url)
    return found[1] if found else ""


def address_of(cluster: ClusterView, host: str) -> str:
    """The address that a compute node finds for a host's name."""
    told = cluster.compute[0].run(f"getent ahostsv4 {shlex.quote(host)}").output.split()
    return told[0] if told else ""


def places(settings: portal.HubSettings) -> tuple[str, str]:
    """Where the Hub would listen, and which host its servers would be told (jupyterhub/app.py, init_hub)."""
    listens = host_of(settings.get("JupyterHub.hub_bind_url")) or settings.get(
        "JupyterHub.hub_ip", "127.0.0.1"
    )
    told = host_of(settings.get("JupyterHub.hub_connect_url")) or settings.get("JupyterHub.hub_connect_ip")
    return listens, told or ("login" if listens in EVERYWHERE else listens)


@check(step="mend")
def next_start_takes_an_address_that_nodes_reach(cluster: ClusterView) -> None:
    """The configuration that the login node's next boot brings has the Hub listen on the internal network."""
    settings, source = coming_hub(cluster)
    look = "sudo wwsh file show jupyterhub_config.py | grep hub_"
    listens, told = places(settings)
    wanted = cluster.login.address
    if listens in EVERYWHERE:
        raise failed(
            expected=f"a Hub that listens on the internal network only: {wanted}",
            actual=f"hub_ip = {listens!r} is every network of the login node, the external one, too",
            hint="Servers reach it, and so does everybody outside. Which address have the nodes for login?",
            node="sms",
            look=look,
        )
    if address_of(cluster, listens) != wanted or address_of(cluster, told) != wanted:
        raise failed(
            expected=f"an address of the login node on the internal network: {wanted}",
            actual=f"in {source}, the Hub listens at {listens}, and servers are told {told}",
            hint="Only the SMS's copy outlives a boot: edit that, and `wwsh file sync` makes it Warewulf's.",
            node="sms",
            look=look,
        )


@check(step="mend", needs=[next_start_takes_an_address_that_nodes_reach], settle=30)
def hub_listens_there(cluster: ClusterView) -> None:
    """The running Hub listens at that address."""
    lines = cluster.login.run(f"ss -Hltn 'sport = :{HUB}'").output.splitlines()
    listens = [line.split()[3].rpartition(":")[0] for line in lines]
    if listens != [cluster.login.address]:
        raise failed(
            expected=f"a Hub that listens at {cluster.login.address}, port {HUB}",
            actual=f"it listens at {', '.join(listens)}" if listens else "nothing listens at that port",
            hint="A Hub reads its configuration when it starts. Has the node the new file? Has the Hub?",
            node="login",
            look=f"ss -ltnp 'sport = :{HUB}'; grep hub_ip {portal.CONF}; systemctl status jupyterhub",
        )


@check(step="serve", needs=[hub_listens_there], settle=60)
def a_server_answers(cluster: ClusterView) -> None:
    """A user's server runs as a job of that user, and answers."""
    ready = [one.user for one in cluster.login.fact(portal.servers) if one.ready]
    running = [job.user for job in cluster.sms.fact(slurm.jobs) if job.state == "RUNNING"]
    if not set(ready) & set(running):
        raise failed(
            expected="a user whose server is ready, and runs as a job",
            actual=f"ready: {', '.join(ready) or 'none'}; jobs of: {', '.join(running) or 'nobody'}",
            hint="`hub-server start user1` on the login node has the Hub start one.",
            node="login",
            look="hub-server list; squeue",
        )
