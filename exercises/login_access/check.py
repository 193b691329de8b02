"""LOGIN-6: a file of its own lets users log in to the login node; compute nodes still refuse them."""

from __future__ import annotations

from lab.checks import ClusterView, check, failed
from lab.facts import warewulf

PAM_FILE = "/etc/pam.d/sshd"
USERS = ("user1", "user2")
SSH = "ssh -o BatchMode=yes -o ConnectTimeout=5"
DENIED = "Access denied"
SAMPLE = 6  # compute nodes that are tried at most


def require_root_may(cluster: ClusterView) -> None:
    """Fails when root cannot log in to the login node by ssh although the node is up."""
    answer = cluster.sms.run(f"{SSH} login true")
    if answer.exit_status == 0:
        return
    cluster.login.run("true")  # if the node is down, this reports it
    raise failed(
        expected="root and users may log in",
        actual=answer.output or f"status {answer.exit_status}",
        hint="Even root is locked out. The change is in memory: `lab reset login` power-cycles the node.",
        node="sms",
        look="sudo ssh login true",
    )


@check(step="admit", settle=45)
def users_may_log_in(cluster: ClusterView) -> None:
    """user1 and user2 may log in from the SMS to the login node."""
    require_root_may(cluster)
    for user in USERS:
        answer = cluster.sms.run(f"{SSH} login true", user=user)
        if answer.exit_status != 0:
            raise failed(
                expected=f"ssh opens a shell on login for {user}",
                actual=answer.output or f"status {answer.exit_status}",
                hint=f"Which module prints this, and which line of {PAM_FILE} on login calls it?",
                node="sms",
                look="ssh login hostname" if user == USERS[0] else f"sudo -u {user} ssh login hostname",
                final=DENIED in answer.output,
            )


@check(step="last", needs=[users_may_log_in])
def a_boot_will_not_undo_it(cluster: ClusterView) -> None:
    """The PAM file that admits them comes from the SMS, so it is there after each boot."""
    given = cluster.sms.fact(warewulf.provision_print("login"))
    names = [row.name for row in cluster.sms.fact(warewulf.file_list) if row.path == PAM_FILE]
    assigned = [name for name in names if name in given.files]
    if assigned:
        source = f"the Warewulf file {assigned[0]}"
        kept = cluster.sms.run(f"wwsh file show '{assigned[0]}' | md5sum")
    else:
        folders = [r.chroot for r in cluster.sms.fact(warewulf.vnfs_list) if r.name == given.vnfs]
        source = "the one in the VNFS"
        kept = cluster.sms.run(f"md5sum <{folders[0] if folders else ''}{PAM_FILE}")
    there = cluster.login.run(f"md5sum <{PAM_FILE}")
    if there.output.split()[:1] == kept.output.split()[:1]:
        return
    hint = "A change on the node only is lost at the next boot. How did you make slurm.conf permanent?"
    if assigned:
        hint = f"{assigned[0]} is assigned; reboot the node or fetch its files, and try to log in again."
    elif names:
        hint = f"Warewulf has {names[0]}, but it is not assigned to login."
    raise failed(
        expected=f"{PAM_FILE} on login is {source}",
        actual="another file, which is only in the memory of the node",
        hint=hint,
        node="login",
        look=f"cat {PAM_FILE}",
    )


def stranger(cluster: ClusterView, node: str) -> str | None:
    """A user who has no job on a node; None if both have one."""
    busy = cluster.sms.run(f"squeue -h -w {node} -o %u").output.split()
    return next((user for user in reversed(USERS) if user not in busy), None)


@check(step="others", needs=[users_may_log_in], settle=30)
def compute_nodes_refuse_users(cluster: ClusterView) -> None:
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
                hint="All nodes boot the same VNFS. A change for login only must not be in it.",
                node="sms",
                look=f"ssh {node} hostname",
                final=True,
            )
    if not asked:
        raise failed(
            expected="a compute node that can be tested",
            actual="none accepts ssh connections",
            node="sms",
            look="lab status",
        )
