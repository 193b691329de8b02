"""LOGIN-6: a file of its own lets users log in to the login node; compute nodes still refuse them."""

from __future__ import annotations

import re

from lab.checks import ClusterView, NodeView, check, chroot_of, coming, failed, of_each_kind
from lab.facts import warewulf

PAM_FILE = "/etc/pam.d/sshd"
RULES = "/etc/pam.d /etc/security /etc/ssh/sshd_config /etc/ssh/sshd_config.d"
ASKS_SLURM = r"^[^#]*pam_slurm"
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


def digests(node: NodeView, paths: str) -> dict[str, str]:
    """The MD5 digests of files on a node, by path."""
    lines = node.run(f"md5sum {paths} 2>/dev/null").output.splitlines()
    return dict(line.split("  ", 1)[::-1] for line in lines if "  " in line)


def changed_since_boot(node: NodeView) -> str:
    """The files on a node that decide who may log in and have changed since it booted."""
    began = node.run("systemctl show --timestamp=unix -p UserspaceTimestamp --value").output.strip()
    return " ".join(node.run(f"find {RULES} -type f -newerct '{began}' 2>/dev/null").output.split())


@check(step="last", needs=[users_may_log_in])
def a_boot_will_not_undo_it(cluster: ClusterView) -> None:
    """What admits them comes from the SMS, so it is there after each boot."""
    found = digests(cluster.login, f"{PAM_FILE} {changed_since_boot(cluster.login)}")
    brought = coming(cluster, "login", *found)
    lost = [path for path, digest in found.items() if brought[path].digest != digest]
    if not lost:
        return
    path = lost[0]
    raise failed(
        expected=f"{path} on login as its next boot brings it: {brought[path].source}",
        actual="a file that is only in the memory of the node",
        hint=way_on(cluster, path, found[path]),
        node="login",
        look=f"cat {path}",
        final=True,
    )


def way_on(cluster: ClusterView, path: str, digest: str) -> str:
    """What is missing until the next boot brings a file as it is on the login node."""
    given = cluster.sms.fact(warewulf.provision_print("login")).files
    names = [row.name for row in cluster.sms.fact(warewulf.file_list) if row.path == path]
    for name in names:
        if name in given:
            return f"{name} is assigned; reboot the node or fetch its files, and try to log in again."
    if names:
        return f"Warewulf has {names[0]}, but it is not assigned to login."
    tree = f"{chroot_of(cluster, 'login')}{path}"
    if digests(cluster.sms, tree).get(tree) == digest:
        return "The chroot has this file, but the VNFS was packed before. All nodes boot that VNFS, though."
    return "A change on the node only is lost at the next boot. How did you make slurm.conf permanent?"


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


@check(step="others", needs=[users_may_log_in], settle=30)
def their_next_boot_refuses_users(cluster: ClusterView) -> None:
    """The next boot of compute nodes gives them a PAM file that asks Slurm, too."""
    own = frozenset(row.name for row in cluster.sms.fact(warewulf.file_list) if row.path == PAM_FILE)
    seen = set()
    for node in of_each_kind(cluster.compute):
        given = cluster.sms.fact(warewulf.provision_print(node.name))
        alike = (given.vnfs, own.intersection(given.files))
        if alike in seen:
            continue  # its next boot brings the same file
        seen.add(alike)
        source = coming(cluster, node.name, PAM_FILE)[PAM_FILE]
        if re.search(ASKS_SLURM, source.text, flags=re.MULTILINE):
            continue
        if digests(node, PAM_FILE).get(PAM_FILE) == source.digest:
            continue  # it refuses in another way, which the check above has tried
        raise failed(
            expected=f"{node.name} boots with a {PAM_FILE} that calls pam_slurm",
            actual=f"{source.source} has no such line",
            hint="It would admit everybody after its next boot. A change for login must not reach others: "
            "`--filedel` takes a file from a node, and the VNFS is for all.",
            node="sms",
            look=f"wwsh provision print {node.name}",
            final=True,
        )
