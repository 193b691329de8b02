"""GPU-1: the GPU nodes boot an image of their own, with a driver in it; the others do not."""

from __future__ import annotations

import shlex

from lab.checks import Cluster, NodeView, check, failed
from lab.facts import slurm, warewulf

IMAGES = "/opt/ohpc/admin/images"
BASE = f"{IMAGES}/debian13"
SMI = "usr/bin/nvidia-smi"
MODULE = "kernel/drivers/video/emulated-gpu.ko"


def gpu_nodes(cluster: Cluster) -> tuple[NodeView, ...]:
    """The nodes with GPUs."""
    return tuple(node for node in cluster.compute if cluster.spec.node(node.name).gpus)


def trees(cluster: Cluster) -> list[str]:
    """Whole trees beside the one that the lab came with; the one with a driver first."""
    command = f"cd {IMAGES} && for tree in *; do [ -e $tree/etc/shadow ] && ls -d $tree/usr/sbin/slurmd; done"
    found = [f"{IMAGES}/{line.partition('/')[0]}" for line in cluster.sms.run(command).output.splitlines()]
    others = [tree for tree in found if tree != BASE]
    return sorted(others, key=lambda tree: not has(cluster, f"{tree}/{SMI}"))


def has(cluster: Cluster, path: str) -> bool:
    """Whether the SMS has such a file."""
    return cluster.sms.run(f"test -e {shlex.quote(path)}").exit_status == 0


@check(step="tree")
def gpu_nodes_have_a_tree(cluster: Cluster) -> None:
    """There is a second tree for images, as whole as the first."""
    if not trees(cluster):
        raise failed(
            expected=f"a copy of {BASE} beside it",
            actual=cluster.sms.run(f"ls {IMAGES}").output.split(),
            hint="Copy it as root, with all that is in it.",
            node="sms",
            look=f"ls {IMAGES}",
        )


@check(step="install", needs=[gpu_nodes_have_a_tree])
def driver_is_in_the_tree(cluster: Cluster) -> None:
    """The driver is installed in that tree."""
    tree = trees(cluster)[0]
    if not has(cluster, f"{tree}/{SMI}"):
        elsewhere = next((place for place in (BASE, "") if has(cluster, f"{place}/{SMI}")), None)
        names = {BASE: "in the tree of all nodes", "": "on the SMS itself"}
        raise failed(
            expected=f"nvidia-smi in {tree}",
            actual="nothing of the driver" if elsewhere is None else f"it is {names[elsewhere]}",
            hint="Run the installer in the tree, by chroot; it tells what it misses there."
            if elsewhere is None
            else "A program that is not run by `chroot TREE` installs where it is. `--uninstall` undoes it.",
            node="sms",
            look=f"ls {tree}/usr/bin/nvidia-smi",
        )


@check(step="install", needs=[driver_is_in_the_tree])
def driver_is_for_their_kernel(cluster: Cluster) -> None:
    """It was made for the kernel that the GPU nodes run."""
    tree = trees(cluster)[0]
    made = cluster.sms.run(
        f"cd {shlex.quote(tree)}/lib/modules && ls -d */{MODULE} | cut -d/ -f1"
    ).output.split()
    for node in gpu_nodes(cluster):
        kernel = cluster.sms.fact(warewulf.provision_print(node.name)).bootstrap
        if kernel not in made:
            raise failed(
                expected=f"a driver for {kernel}, which {node.name} boots",
                actual=f"made for {', '.join(made)}" if made else "no module",
                hint="`--kernel-name` says which; `ssh g1 uname -r` asks a node.",
                node="sms",
                look=f"ls {tree}/lib/modules",
            )


@check(step="install", needs=[driver_is_in_the_tree])
def base_tree_is_as_it_was(cluster: Cluster) -> None:
    """The tree of all other nodes has no driver."""
    if has(cluster, f"{BASE}/{SMI}"):
        raise failed(
            expected=f"no nvidia-smi in {BASE}",
            actual="one is there",
            hint="The installer takes its driver away again with --uninstall, run in that tree.",
            node="sms",
            look=f"ls {BASE}/usr/bin/nvidia-smi",
        )


@check(step="tidy", needs=[driver_is_in_the_tree])
def nothing_is_mounted_there(cluster: Cluster) -> None:
    """Nothing is mounted in any tree."""
    found = cluster.sms.run(f"findmnt -rno TARGET | grep '^{IMAGES}/'").output.split()
    if found:
        raise failed(
            expected="no mount in a tree",
            actual=found,
            hint="What you bound to the tree for the installer still hangs there.",
            node="sms",
            look=f"findmnt | grep {IMAGES}",
        )


@check(step="tidy", needs=[driver_is_in_the_tree])
def installer_is_gone(cluster: Cluster) -> None:
    """No installer lies in a tree."""
    found = cluster.sms.run(f"find {IMAGES} -xdev -type f -name '*.run'").output.split()
    if found:
        raise failed(
            expected="no .run file in a tree",
            actual=found,
            hint="All of the tree is packed, and carried in the nodes' memory.",
            node="sms",
            look=f"find {IMAGES} -name '*.run'",
        )


def vnfs_trees(cluster: Cluster) -> dict[str, str]:
    """Which tree each VNFS was packed from."""
    return {row.name: row.chroot for row in cluster.sms.fact(warewulf.vnfs_list)}


@check(step="boot", needs=[gpu_nodes_have_a_tree])
def gpu_nodes_are_given_it(cluster: Cluster) -> None:
    """The GPU nodes are given an image that was packed from that tree."""
    packed = vnfs_trees(cluster)
    for node in gpu_nodes(cluster):
        name = cluster.sms.fact(warewulf.provision_print(node.name)).vnfs
        if packed.get(name, BASE).rstrip("/") == BASE:
            raise failed(
                expected=f"another image at {node.name} than the one of all nodes",
                actual=f"{name}, of {', '.join(sorted(packed))}",
                hint="`wwvnfs` packs a tree; `wwsh provision set` says which node gets what."
                if len(packed) < 2
                else "The image is there. Which nodes are given it?",
                node="sms",
                look="wwsh provision list",
            )


@check(step="boot", needs=[gpu_nodes_are_given_it])
def the_others_keep_theirs(cluster: Cluster) -> None:
    """Nodes without GPUs are given the image they always had."""
    packed, gpus = vnfs_trees(cluster), {node.name for node in gpu_nodes(cluster)}
    for row in cluster.sms.fact(warewulf.provision_list):
        name = cluster.sms.fact(warewulf.provision_print(row.name)).vnfs
        if row.name not in gpus and packed.get(name, "").rstrip("/") != BASE:
            raise failed(
                expected=f"{row.name} with an image packed from {BASE}",
                actual=name,
                hint="Only the GPU nodes need a driver; to the others it is lost memory.",
                node="sms",
                look="wwsh provision list",
            )


@check(step="boot", needs=[gpu_nodes_are_given_it, driver_is_in_the_tree], settle=60)
def gpus_answer(cluster: Cluster) -> None:
    """On each GPU node nvidia-smi shows all of its GPUs."""
    for node in gpu_nodes(cluster):
        wanted = cluster.spec.node(node.name).gpus
        answer = node.run("nvidia-smi -L")
        if answer.exit_status != 0 or answer.output.count("GPU ") < wanted:
            raise failed(
                expected=f"{wanted} GPUs on {node.name}",
                actual=answer.output.strip() or f"status {answer.exit_status}",
                hint="A node has the image that it last booted.",
                node=node.name,
                look="nvidia-smi -L",
            )


@check(step="boot", needs=[gpus_answer])
def no_installer_came_along(cluster: Cluster) -> None:
    """No installer is on a GPU node: the tree was packed after it was tidied."""
    for node in gpu_nodes(cluster):
        found = node.run("find / -xdev -type f -name '*.run'").output.split()
        if found:
            raise failed(
                expected=f"no .run file on {node.name}",
                actual=found,
                hint="It boots what the tree was when it was packed.",
                node=node.name,
                look="find / -xdev -name '*.run'",
                final=True,
            )


@check(step="use", needs=[gpus_answer], settle=60)
def gpu_nodes_take_jobs(cluster: Cluster) -> None:
    """Slurm has the GPU nodes in service."""
    known = cluster.sms.fact(slurm.nodes)
    names = [node.name for node in gpu_nodes(cluster)]
    out = {name: known[name].label.lower() for name in names if name in known and not known[name].takes_jobs}
    if out:
        raise failed(
            expected=f"{' and '.join(names)} idle or at work",
            actual=out,
            hint="Whoever took a node out of service brings it back. `sinfo -R` shows reasons.",
            node="sms",
            look="sinfo -R",
        )


@check(step="use", needs=[gpu_nodes_take_jobs], timeout=60)
def a_job_gets_a_gpu(cluster: Cluster) -> None:
    """A job that asks for one GPU is given one, on a node where nvidia-smi answers."""
    command = "cd && srun --immediate=20 --gres=gpu:1 sh -c 'echo mine=$CUDA_VISIBLE_DEVICES; nvidia-smi -L'"
    answer = cluster.sms.run(command, user="user1", timeout=45)
    mine = [line.partition("=")[2] for line in answer.output.splitlines() if line.startswith("mine=")]
    if answer.exit_status != 0 or len(mine) != 1 or not mine[0].isdigit():
        raise failed(
            expected="a job with one number in CUDA_VISIBLE_DEVICES",
            actual=answer.output.strip() or f"status {answer.exit_status}",
            hint="Try the same job yourself; what does it print?",
            node="sms",
            look="srun --gres=gpu:1 nvidia-smi -L",
        )
