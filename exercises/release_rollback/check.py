"""A release and its rollback: what was signed, which release the next boot takes, and what c1 has loaded.

The stamp on a running node can be edited. So what c1 runs is judged by what it has last loaded, too, as the
head node's log of requests says: images of two releases have different sizes.
"""

from __future__ import annotations

from lab.checks import ClusterView, NodeView, check, failed
from lab.facts import releases, slurm, warewulf
from lab.facts.releases import Release

ROLE = "compute"
OLD, NEW = "november", "december"
STAMP = "/etc/image-release"


def first_node(cluster: ClusterView) -> NodeView:
    """The node of this exercise: c1."""
    return cluster.compute[0]


def loaded(cluster: ClusterView) -> list[str]:
    """The releases that c1 has loaded, in order, by the sizes of what it was sent."""
    sizes = {release(cluster, name).size: name for name in (OLD, NEW)}
    sent = cluster.sms.fact(releases.sent_to(first_node(cluster).address))
    return [sizes[size] for size in sent if size in sizes]


def release(cluster: ClusterView, name: str) -> Release:
    """One of the two releases; it must be there."""
    found = cluster.sms.fact(releases.release(ROLE, name))
    if found is None:
        raise failed(
            expected=f"a release {name} of {ROLE}",
            actual="there is none",
            hint="The image of december is packed. Which verb of nodeimage makes a release of it?",
            node="sms",
            look=f"nodeimage list {ROLE}",
        )
    return found


@check(step="publish")
def december_is_published(cluster: ClusterView) -> None:
    """The releases november and december are there, each as it was signed."""
    for name in (OLD, NEW):
        release(cluster, name)
        wrong = cluster.sms.fact(releases.flaw(ROLE, name))
        if wrong:
            raise failed(
                expected=f"{name} as it was signed",
                actual=wrong,
                hint="A release never changes under its name. Remove it and publish it again. To boot "
                "another one, change which one is active.",
                node="sms",
                look=f"nodeimage verify {ROLE} {name}",
                final=True,
            )


@check(step="boot", needs=[december_is_published], settle=90)
def c1_has_booted_december(cluster: ClusterView) -> None:
    """c1 has loaded the image of december."""
    if NEW not in loaded(cluster):
        active = cluster.sms.fact(releases.active(ROLE))
        raise failed(
            expected=f"{first_node(cluster).name} has loaded the image of {NEW}",
            actual="it has not",
            hint=f"Active is {active.name if active else 'none'}. A node loads an image only when it boots.",
            node="sms",
            look=f"nodeimage list {ROLE}; sudo grep /image {releases.LOG}",
        )


@check(step="rollback", needs=[c1_has_booted_december])
def link_leads_to_november(cluster: ClusterView) -> None:
    """The active release is november, so the next boot takes it."""
    active = cluster.sms.fact(releases.active(ROLE))
    if active is None or active.name != OLD:
        raise failed(
            expected=f"{OLD} is active",
            actual=active.name if active else "none",
            hint="Whatever c1 runs now, its next boot loads what the link leads to.",
            node="sms",
            look=f"readlink /srv/nodeimage/{ROLE}/current; nodeimage list {ROLE}",
        )


@check(step="rollback", needs=[c1_has_booted_december])
def c1_follows_the_link(cluster: ClusterView) -> None:
    """c1's boot entry names the active release, by its link."""
    node = first_node(cluster)
    entry = cluster.sms.run(f"cat /srv/nodeimage/.boot/{node.mac}").output
    told = dict(cluster.sms.fact(warewulf.provision_print(node.name)).values).get("IPXEURL", "")
    if f"/{ROLE}/current/image" not in entry or "nodeimage" not in told:
        raise failed(
            expected=f"DHCP names nodeimage's entry for {node.name}, and that names {ROLE}/current",
            actual=f"IPXEURL of {node.name}: {told or 'none'}",
            hint=f"`nodeimage boot {ROLE} {node.name}` writes the entry, and has DHCP name it.",
            node="sms",
            look=f"wwsh provision print {node.name} | grep IPXEURL; cat /srv/nodeimage/.boot/{node.mac}",
        )


@check(step="rollback", needs=[link_leads_to_november], settle=90)
def c1_runs_november(cluster: ClusterView) -> None:
    """c1 has the stamp of november, and has loaded that image last."""
    node = first_node(cluster)
    wanted = release(cluster, OLD)
    text = node.run(f"cat {STAMP}").output
    stamp = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    last = loaded(cluster)[-1]
    if last != OLD and stamp.get("IMAGE_COMMIT") == wanted.commit:
        raise failed(
            expected=f"{node.name} has booted the image of {OLD}",
            actual=f"its stamp says so, but it last loaded the image of {last}",
            hint="A stamp is worth something only if the image brought it. Boot the node.",
            node=node.name,
            look=f"uptime -s; ls -l --full-time {STAMP}",
            final=True,
        )
    if stamp.get("IMAGE_COMMIT") != wanted.commit:
        raise failed(
            expected=f"the stamp of {OLD} on {node.name}",
            actual=f"{stamp.get('IMAGE_REF', 'no stamp')} ({stamp.get('IMAGE_COMMIT', '')[:12]})",
            hint="A link changes what the next boot takes, not what runs. Has the node booted since?",
            node=node.name,
            look=f"uptime -s; cat {STAMP}",
        )


@check(step="rollback", needs=[c1_runs_november], settle=60)
def c1_takes_jobs(cluster: ClusterView) -> None:
    """c1 is back in service."""
    name = first_node(cluster).name
    info = cluster.sms.fact(slurm.node(name))
    if not info.takes_jobs:
        raise failed(
            expected=f"{name} takes jobs",
            actual=f"{info.label.lower()}: {info.reason}" if info.reason else info.label.lower(),
            hint="Who drains a node resumes it, when it is back.",
            node="sms",
            look="sinfo -R",
        )
