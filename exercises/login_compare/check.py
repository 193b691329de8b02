"""LOGIN-4: the login node is assigned everything that a compute node is, and its own slurm.conf."""

from __future__ import annotations

import shlex

from lab.checks import ClusterView, check, failed
from lab.facts import warewulf

OWN_FILE = "/etc/slurm/slurm.conf"


def own_files(cluster: ClusterView) -> list[str]:
    """Names of the file objects with the path /etc/slurm/slurm.conf."""
    return [row.name for row in cluster.sms.fact(warewulf.file_list) if row.path == OWN_FILE]


def given(cluster: ClusterView, node: str) -> tuple[str, ...]:
    """Names of the files that are assigned to a node."""
    return cluster.sms.fact(warewulf.provision_print(node)).files


@check(step="assign")
def login_is_given_the_file(cluster: ClusterView) -> None:
    """The login node is assigned a file with the path /etc/slurm/slurm.conf."""
    there = own_files(cluster)
    found = given(cluster, "login")
    if not set(there) & set(found):
        raise failed(
            expected=f"{there[0]} in the list of files" if there else f"a file with the path {OWN_FILE}",
            actual=found,
            hint="`wwsh provision help` lists three options for files; one of them adds to the list."
            if there
            else f"Warewulf has no file with the path {OWN_FILE}; import it as in the last exercise.",
            node="sms",
            look="wwsh provision print login",
        )


@check(step="assign", needs=[login_is_given_the_file])
def nothing_was_taken_away(cluster: ClusterView) -> None:
    """It is still assigned every file that a compute node is."""
    neighbour = cluster.compute[0].name
    found = given(cluster, "login")
    missing = [name for name in given(cluster, neighbour) if name not in (*found, *own_files(cluster))]
    if missing:
        raise failed(
            expected=f"all files of {neighbour}: {', '.join(given(cluster, neighbour))}",
            actual=f"{', '.join(found)} (missing: {', '.join(missing)})",
            hint="`--files` replaces the whole list; `--fileadd` adds what is missing.",
            node="sms",
            look="wwsh provision print login",
        )


@check(step="assign", needs=[login_is_given_the_file])
def compute_nodes_are_not_given_it(cluster: ClusterView) -> None:
    """No compute node is assigned that file."""
    there = set(own_files(cluster))
    found = [node.name for node in cluster.compute if there & set(given(cluster, node.name))]
    if found:
        raise failed(
            expected="the file on the login node only",
            actual=f"{', '.join(found)} would get it too",
            hint="Compute nodes get their configuration from slurmd; `--filedel` removes a file.",
            node="sms",
            look=f"wwsh provision print {found[0]}",
        )


@check(step="compare", needs=[nothing_was_taken_away, compute_nodes_are_not_given_it])
def only_the_files_differ(cluster: ClusterView) -> None:
    """Except for the files, the login node and a compute node have the same settings."""
    neighbour = cluster.compute[0].name
    mine = dict(cluster.sms.fact(warewulf.provision_print("login")).values)
    other = dict(cluster.sms.fact(warewulf.provision_print(neighbour)).values)
    keys = [key for key in {**mine, **other} if key != "FILES" and mine.get(key) != other.get(key)]
    if keys:
        raise failed(
            expected=f"only the line FILES differs from {neighbour}",
            actual={key: f"{mine.get(key) or 'UNDEF'}, not {other.get(key) or 'UNDEF'}" for key in keys},
            hint="Which of the two nodes did you intend to change?",
            node="sms",
            look=f"wwsh provision print login {neighbour}",
        )


@check(step="deliver", needs=[login_is_given_the_file], settle=30)
def login_has_what_it_is_given(cluster: ClusterView) -> None:
    """The file is on the login node, with the content that Warewulf stores."""
    names = [name for name in own_files(cluster) if name in given(cluster, "login")]
    kept = [cluster.sms.run(f"wwsh file show {shlex.quote(name)}").output.split() for name in names]
    there = cluster.login.run(f"cat {OWN_FILE}")
    if there.exit_status != 0 or there.output.split() not in kept:
        raise failed(
            expected=f"{OWN_FILE} with the content of {names[0]}",
            actual="different content" if there.exit_status == 0 else "no such file",
            hint="A node fetches its files when it boots, or when you tell it to.",
            node="login",
            look=f"cat {OWN_FILE}",
            final=True,
        )
