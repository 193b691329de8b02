"""SEMI-1: the learner measured what a root file system in memory costs, and left the node as it was.

The numbers must also be true after the next boot: a root file system that a remount has enlarged is not the
one that the node boots with.
"""

from __future__ import annotations

import re

from lab.checks import ClusterView, NodeView, check, failed
from lab.facts import storage

NOTES = "/home/user1/ram_limits/notes.txt"
NODE = "c1"
MIB = 1 << 20
NEAR = 48  # MiB by which a node's own memory use may differ from one minute to the next
PYTHON = 40  # MiB that Python and NumPy take beside the array
KILLED = 128 + 9
KEYS = ("memory_total", "root_limit", "root_used", "swap_total", "array", "file", "exit_status")


def noted(cluster: ClusterView) -> dict[str, int]:
    """The numbers in the learner's form; lines without a number are ignored."""
    text = cluster.sms.run(f"cat {NOTES}", user="root").output
    found = re.findall(r"(?m)^\s*(\w+)\s*[=:]\s*(\d+)(?:\.\d+)?\s*(?:M|MB|MiB)?\s*$", text)
    return {key: int(value) for key, value in found}


def large_files(node: NodeView) -> str:
    """The files below /tmp that are larger than what a node itself writes there."""
    answer = node.run(f"find /tmp -xdev -type f -size +{NEAR}M", user="root")
    return ", ".join(answer.output.split())


@check(step="look")
def the_form_is_filled_in(cluster: ClusterView) -> None:
    """The form has a number for each of its seven entries."""
    found = noted(cluster)
    missing = [key for key in KEYS if key not in found]
    if missing:
        raise failed(
            expected=f"a number for each of: {', '.join(KEYS)}",
            actual=f"none for {', '.join(missing)}",
            hint="Write a whole number of MiB after each `=`, without a unit.",
            node="sms",
            look=f"cat {NOTES}",
        )


@check(step="tidy", needs=[the_form_is_filled_in])
def nothing_large_is_left(cluster: ClusterView) -> None:
    """No large file is left in /tmp on c1."""
    left = large_files(cluster.node(NODE))
    if left:
        raise failed(
            expected="no large file in /tmp",
            actual=left,
            hint="A file takes memory as long as it exists.",
            node=NODE,
            look="df -h /tmp; ls -lh /tmp",
        )


@check(step="tidy", needs=[the_form_is_filled_in])
def the_root_is_as_it_boots(cluster: ClusterView) -> None:
    """The root file system of c1 may grow to half of the memory, as after each boot."""
    if cluster.root_kind != "tmpfs":
        return  # the nodes of such a lab have a root file system without a limit of its own
    node = cluster.node(NODE)
    limit, half = node.fact(storage.mount("/")).size // MIB, node.fact(storage.memory).total // 2 // MIB
    if abs(limit - half) > NEAR:
        raise failed(
            expected=f"/ may grow to about {half} MiB, half of the memory",
            actual=f"{limit} MiB",
            hint="Somebody has mounted / again with another size. What will it be after a reboot?",
            node=NODE,
            look="findmnt /; free -m",
        )


@check(step="look", needs=[nothing_large_is_left, the_root_is_as_it_boots])
def the_node_is_known(cluster: ClusterView) -> None:
    """Memory, root file system and swap in the form are those of c1."""
    node, found = cluster.node(NODE), noted(cluster)
    memory, root = node.fact(storage.memory), node.fact(storage.mount("/"))
    true = {
        "memory_total": memory.total // MIB,
        "root_limit": root.size // MIB,
        "root_used": root.used // MIB,
        "swap_total": memory.swap_total // MIB,
    }
    off = {key: value for key, value in true.items() if abs(found[key] - value) > NEAR}
    if off:
        raise failed(
            expected={key: f"about {value}" for key, value in off.items()},
            actual={key: found[key] for key in off},
            hint="On which machine did you measure, and in which unit?",
            node=NODE,
            look="free -m; df -m /",
        )


@check(step="squeeze", needs=[the_node_is_known])
def the_array_fits_alone(cluster: ClusterView) -> None:
    """The array in the form fits into the available memory of c1."""
    available = cluster.node(NODE).fact(storage.memory).available // MIB
    array = noted(cluster)["array"]
    if array + PYTHON > available + NEAR:
        raise failed(
            expected=f"at most {available} MiB including NumPy itself",
            actual=f"{array} MiB",
            hint="Programs cannot use the memory that the root file system takes.",
            node=NODE,
            look="free -m",
        )


@check(step="squeeze", needs=[the_array_fits_alone])
def the_file_kills_the_array(cluster: ClusterView) -> None:
    """The file in the form fits into /tmp, and with it the array does not fit any more."""
    node, found = cluster.node(NODE), noted(cluster)
    root = node.fact(storage.mount("/"))
    space = (root.size - root.used) // MIB
    left = node.fact(storage.memory).available // MIB - found["file"]
    if found["file"] > space + NEAR:
        raise failed(
            expected=f"a file of at most {space} MiB, the free space in /tmp",
            actual=f"{found['file']} MiB",
            node=NODE,
            look="df -m /tmp",
        )
    if found["array"] + PYTHON < left - NEAR:
        raise failed(
            expected=f"an array of more than {left - PYTHON} MiB, or a larger file",
            actual=f"{found['array']} MiB, which would still fit together with a file of {found['file']} MiB",
            node=NODE,
            look="free -m",
        )


@check(step="squeeze", needs=[the_form_is_filled_in])
def the_program_was_killed(cluster: ClusterView) -> None:
    """The exit status in the form is that of a killed program."""
    status = noted(cluster)["exit_status"]
    if status != KILLED:
        raise failed(
            expected="128 plus the number of the signal that no program can block",
            actual=status,
            hint="Run `echo $?` directly after the program, before any other command.",
            node=NODE,
            look="kill -l KILL",
        )
