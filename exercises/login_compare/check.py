"""LOGIN-4: the login node is given what a compute node is given, and its own slurm.conf."""

from __future__ import annotations

import shlex

from lab.checks import Cluster, check, failed
from lab.facts import warewulf

OWN_FILE = "/etc/slurm/slurm.conf"


def own_files(cluster: Cluster) -> list[str]:
    """Names of the files that go to /etc/slurm/slurm.conf on whichever node is given them."""
    return [row.name for row in cluster.sms.fact(warewulf.file_list) if row.path == OWN_FILE]


def given(cluster: Cluster, node: str) -> tuple[str, ...]:
    """Names of the files that a node is given."""
    return cluster.sms.fact(warewulf.provision_print(node)).files


@check(step="assign")
def login_is_given_the_file(cluster: Cluster) -> None:
    """The login node is given a file that goes to /etc/slurm/slurm.conf."""
    there = own_files(cluster)
    found = given(cluster, "login")
    if not set(there) & set(found):
        raise failed(
            expected=f"{there[0]} among the login node's files" if there else f"a file for {OWN_FILE}",
            actual=found,
            hint="`wwsh provision help` has three options for files; one of them adds."
            if there
            else f"Warewulf has no file with the path {OWN_FILE}; it was made in the exercise before.",
            node="sms",
            look="wwsh provision print login",
        )


@check(step="assign", needs=[login_is_given_the_file])
def nothing_was_taken_away(cluster: Cluster) -> None:
    """It is still given every file that a compute node is given."""
    neighbour = cluster.compute[0].name
    found = given(cluster, "login")
    missing = [name for name in given(cluster, neighbour) if name not in (*found, *own_files(cluster))]
    if missing:
        raise failed(
            expected=f"all that {neighbour} is given: {', '.join(given(cluster, neighbour))}",
            actual=f"{', '.join(found)} (missing: {', '.join(missing)})",
            hint="`--files` replaces the whole list; `--fileadd` puts back what is missing.",
            node="sms",
            look="wwsh provision print login",
        )


@check(step="assign", needs=[login_is_given_the_file])
def compute_nodes_are_not_given_it(cluster: Cluster) -> None:
    """No compute node is given that file."""
    there = set(own_files(cluster))
    found = [node.name for node in cluster.compute if there & set(given(cluster, node.name))]
    if found:
        raise failed(
            expected="the file at the login node only",
            actual=f"{', '.join(found)} would get it too",
            hint="A compute node needs the controller's whole file; `--filedel` takes away.",
            node="sms",
            look=f"wwsh provision print {found[0]}",
        )


@check(step="compare", needs=[nothing_was_taken_away, compute_nodes_are_not_given_it])
def only_the_files_differ(cluster: Cluster) -> None:
    """In all else than the files, the login node and a compute node are given the same."""
    neighbour = cluster.compute[0].name
    mine = dict(cluster.sms.fact(warewulf.provision_print("login")).values)
    other = dict(cluster.sms.fact(warewulf.provision_print(neighbour)).values)
    keys = [key for key in {**mine, **other} if key != "FILES" and mine.get(key) != other.get(key)]
    if keys:
        raise failed(
            expected=f"one line that differs from {neighbour}: FILES",
            actual={key: f"{mine.get(key) or 'UNDEF'}, not {other.get(key) or 'UNDEF'}" for key in keys},
            hint="Which of the two did you mean to change?",
            node="sms",
            look=f"wwsh provision print login {neighbour}",
        )


@check(step="deliver", needs=[login_is_given_the_file], settle=30)
def login_has_what_it_is_given(cluster: Cluster) -> None:
    """The file is on the login node, as Warewulf keeps it."""
    name = next(name for name in own_files(cluster) if name in given(cluster, "login"))
    kept = cluster.sms.run(f"wwsh file show {shlex.quote(name)}").output
    there = cluster.login.run(f"cat {OWN_FILE}")
    if there.exit_status != 0 or there.output.split() != kept.split():
        raise failed(
            expected=f"{OWN_FILE} with the content of {name}",
            actual="another content" if there.exit_status == 0 else "no such file",
            hint="Files come with a boot, or when the node is told to fetch them.",
            node="login",
            look=f"cat {OWN_FILE}",
            final=True,
        )
