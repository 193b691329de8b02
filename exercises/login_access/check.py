"""LOGIN-6: users may enter the login node, by a file of its own, and no compute node."""

from __future__ import annotations

from lab.checks import Cluster, check, failed
from lab.facts import warewulf

PAM_FILE = "/etc/pam.d/sshd"
USERS = ("user1", "user2")
SSH = "ssh -o BatchMode=yes -o ConnectTimeout=5"
DENIED = "Access denied"
SAMPLE = 6  # compute nodes that are tried at most


def require_root_may(cluster: Cluster) -> None:
    """Fails when ssh as root does not open login, although the node is up."""
    answer = cluster.sms.run(f"{SSH} login true")
    if answer.exit_status == 0:
        return
    cluster.login.run("true")  # not up at all is another story, which this tells
    raise failed(
        expected="root may log in, and users",
        actual=answer.output or f"status {answer.exit_status}",
        hint="Even root is shut out. The node's memory forgets: `lab reset login` pulls its plug.",
        node="sms",
        look="sudo ssh login true",
    )


@check(step="admit", settle=45)
def users_may_log_in(cluster: Cluster) -> None:
    """From the SMS, user1 and user2 may log in to the login node."""
    require_root_may(cluster)
    for user in USERS:
        answer = cluster.sms.run(f"{SSH} login true", user=user)
        if answer.exit_status != 0:
            raise failed(
                expected=f"ssh opens a shell on login for {user}",
                actual=answer.output or f"status {answer.exit_status}",
                hint=f"Which module says this, and which line of {PAM_FILE} on login asks it?",
                node="sms",
                look="ssh login hostname" if user == USERS[0] else f"sudo -u {user} ssh login hostname",
                final=DENIED in answer.output,
            )


@check(step="last", needs=[users_may_log_in])
def a_boot_will_not_undo_it(cluster: Cluster) -> None:
    """What lets them in comes from the SMS, so that it is there after each boot."""
    given = cluster.sms.fact(warewulf.provision_print("login"))
    names = [row.name for row in cluster.sms.fact(warewulf.file_list) if row.path == PAM_FILE]
    assigned = [name for name in names if name in given.files]
    if assigned:
        source = f"Warewulf's file {assigned[0]}"
        kept = cluster.sms.run(f"wwsh file show '{assigned[0]}' | md5sum")
    else:
        folders = [r.chroot for r in cluster.sms.fact(warewulf.vnfs_list) if r.name == given.vnfs]
        source = "the image's"
        kept = cluster.sms.run(f"md5sum <{folders[0] if folders else ''}{PAM_FILE}")
    there = cluster.login.run(f"md5sum <{PAM_FILE}")
    if there.output.split()[:1] == kept.output.split()[:1]:
        return
    hint = "The next boot takes what was only changed on the node. How did slurm.conf get there to stay?"
    if assigned:
        hint = f"{assigned[0]} is assigned; let the node boot, or fetch its files, and try the door again."
    elif names:
        hint = f"Warewulf has {names[0]}, but login is not given it."
    raise failed(
        expected=f"{PAM_FILE} on login is {source}",
        actual="it is another one, which lives in the node's memory only",
        hint=hint,
        node="login",
        look=f"cat {PAM_FILE}",
    )


def stranger(cluster: Cluster, node: str) -> str | None:
    """A user without a job on a node; None when both have one."""
    busy = cluster.sms.run(f"squeue -h -w {node} -o %u").output.split()
    return next((user for user in reversed(USERS) if user not in busy), None)


@check(step="others", needs=[users_may_log_in], settle=30)
def compute_nodes_refuse_users(cluster: Cluster) -> None:
    """Compute nodes still refuse users who have no job there."""
    up = [node.name for node in cluster.compute if node.state().stage == "init"][:SAMPLE]
    asked = []
    for node in up:
        user = stranger(cluster, node)
        if user is None or cluster.sms.run(f"{SSH} {node} true").exit_status != 0:
            continue
        asked.append(node)
        if cluster.sms.run(f"{SSH} {node} true", user=user).exit_status == 0:
            raise failed(
                expected=f"{node} refuses {user}, who has no job there",
                actual=f"{user} got a shell on {node}",
                hint="The image serves all nodes. What only login shall have must not be in it.",
                node="sms",
                look=f"ssh {node} hostname",
                final=True,
            )
    if not asked:
        raise failed(
            expected="a compute node that could be asked",
            actual="none answers ssh",
            node="sms",
            look="lab status",
        )
