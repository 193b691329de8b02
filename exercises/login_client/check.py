"""LOGIN-3: a small slurm.conf makes the login node a client, and Warewulf stores the file.

The file on the node need not outlive its next boot: the exercise ends with the copy in Warewulf, which the
next one assigns. So it is the copy that must work.
"""

from __future__ import annotations

import base64
import shlex

from lab.checks import CheckFailedError, ClusterView, check, failed
from lab.facts import slurm, warewulf

OWN_FILE = "/etc/slurm/slurm.conf"
DEFINES = ("nodename", "partitionname", "nodeset", "include", "frontendname")


def settings(text: str) -> dict[str, str]:
    """Reads `Key=Value` lines: keys in lower case, comments ignored."""
    lines = (line.split("#")[0].strip() for line in text.splitlines())
    parts = (line.replace("=", " = ", 1).split(None, 2) for line in lines if line)
    return {words[0].lower(): words[2] if len(words) > 2 else "" for words in parts}


def require_small(cluster: ClusterView, text: str, *, node: str, look: str) -> None:
    """Fails unless a configuration names the cluster and the controller, and defines nothing else."""
    found = settings(text)
    for key, name in (("clustername", "ClusterName"), ("slurmctldhost", "SlurmctldHost")):
        if not found.get(key):
            raise failed(
                expected=f"a line {name}=…",
                actual=text.strip() or "an empty file",
                hint="`scontrol show config` on the SMS shows the value.",
                node=node,
                look=look,
            )
    real = cluster.sms.fact(slurm.config).get("ClusterName", "")
    if found["clustername"].lower() != real.lower():
        raise failed(
            expected=f"ClusterName={real}", actual=f"ClusterName={found['clustername']}", node=node, look=look
        )
    extra = [line.split()[0] for line in text.splitlines() if line.strip().lower().startswith(DEFINES)]
    if extra:
        raise failed(
            expected="only what a client needs: the name of the cluster and the host of the controller",
            actual=f"also {', '.join(dict.fromkeys(extra))}",
            hint="A client asks the controller for nodes and partitions; a copy here becomes outdated.",
            node=node,
            look=look,
        )


@check(step="write")
def login_has_its_own_file(cluster: ClusterView) -> None:
    """The login node has a file /etc/slurm/slurm.conf that every user may read."""
    answer = cluster.login.run(f"stat -c %A {OWN_FILE}")
    if answer.exit_status != 0:
        raise failed(
            expected=f"a file {OWN_FILE}",
            actual="no such file",
            hint="The file is in memory: it is lost when the node reboots.",
            node="login",
            look=f"ls -l {OWN_FILE}",
        )
    if answer.output.strip()[-3:-2] != "r":
        raise failed(
            expected="readable by every user: -rw-r--r--",
            actual=answer.output.strip(),
            hint="Users run sinfo too, and the file contains no secret.",
            node="login",
            look=f"ls -l {OWN_FILE}",
        )


@check(step="write", needs=[login_has_its_own_file])
def file_says_only_where_the_controller_is(cluster: ClusterView) -> None:
    """It names the cluster and the host of the controller, and defines no nodes or partitions."""
    text = cluster.login.run(f"cat {OWN_FILE}").output
    require_small(cluster, text, node="login", look=f"cat {OWN_FILE}")


@check(step="write", needs=[file_says_only_where_the_controller_is], settle=10)
def sinfo_works_with_the_file_alone(cluster: ClusterView) -> None:
    """With this file alone, sinfo shows the same partitions as on the SMS."""
    wanted = [part.name for part in cluster.sms.fact(slurm.partitions)]
    answer = cluster.login.run(f"SLURM_CONF={OWN_FILE} sinfo -h -o '%P'", timeout=15)
    found = [name.rstrip("*") for name in answer.output.split()]
    if answer.exit_status != 0 or sorted(set(found)) != sorted(set(wanted)):
        raise failed(
            expected=wanted,
            actual=answer.output or f"status {answer.exit_status}",
            hint="Is the host in SlurmctldHost reachable, and does slurmctld run there?",
            node="login",
            look=f"SLURM_CONF={OWN_FILE} sinfo",
        )


@check(step="keep")
def warewulf_has_the_file(cluster: ClusterView) -> None:
    """Warewulf has a file object with the path /etc/slurm/slurm.conf."""
    rows = cluster.sms.fact(warewulf.file_list)
    if any(row.path == OWN_FILE for row in rows):
        return
    near = {row.name: row.path for row in rows if "slurm" in row.name or "slurm" in row.path}
    raise failed(
        expected=f"a file object with the path {OWN_FILE}",
        actual=near or [row.name for row in rows],
        hint="The path of the file on a node is set by `--path=…` of `wwsh file import` or `wwsh file set`."
        if near
        else "`wwsh file import` stores a file of the SMS in Warewulf.",
        node="sms",
        look="wwsh file list",
    )


def require_useful(cluster: ClusterView, row: warewulf.FileRow) -> None:
    """Fails unless a node that gets this file object is a client with it."""
    show = f"wwsh file show {shlex.quote(row.name)}"
    text = cluster.sms.run(show).output
    require_small(cluster, text, node="sms", look=f"sudo {show}")
    if row.perms[-3:-2] != "r":
        raise failed(
            expected="readable by every user: rw-r--r--",
            actual=row.perms,
            hint=f"`sudo wwsh file set {row.name} --mode=0644` changes it.",
            node="sms",
            look="wwsh file list",
        )
    coded = base64.b64encode(text.encode()).decode()
    answer = cluster.login.run(
        f"( f=$(mktemp) && trap 'rm -f $f' EXIT && echo {coded} | base64 -d >$f && SLURM_CONF=$f sinfo -h )",
        timeout=15,
    )
    if answer.exit_status != 0:
        raise failed(
            expected=f"{row.name} with which sinfo works on login",
            actual=answer.output.strip() or f"status {answer.exit_status}",
            hint="Warewulf keeps a copy: a later change of the file on the node or on the SMS is not in it. "
            "`wwsh file sync` and `wwsh file import` renew it.",
            node="sms",
            look=f"sudo {show}",
        )


@check(step="keep", needs=[warewulf_has_the_file], settle=10)
def kept_file_says_the_same(cluster: ClusterView) -> None:
    """The file in Warewulf is such a client configuration too: it works, and every user may read it."""
    failures = []
    for row in cluster.sms.fact(warewulf.file_list):
        if row.path == OWN_FILE:
            try:
                return require_useful(cluster, row)
            except CheckFailedError as failure:
                failures.append(failure)
    raise failures[-1]
