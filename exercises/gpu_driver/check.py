"""GPU-1: the GPU nodes boot a VNFS of their own that contains a driver; the others do not.

What must outlive the next boot is the driver: it is looked for in the image that was packed, not only in the
chroot and on the nodes.
"""

from __future__ import annotations

import shlex

from lab.checks import (
    ClusterView,
    NodeView,
    bootstrap_of,
    check,
    failed,
    image_of,
    not_packed,
    one_for_each_vnfs,
    stands,
)
from lab.facts import slurm, systemd, warewulf
from lab.facts.next_boot import VnfsImage

IMAGES = "/opt/ohpc/admin/images"
BASE = f"{IMAGES}/debian13"
SMI = "usr/bin/nvidia-smi"
MODULE = "kernel/drivers/video/emulated-gpu.ko"
INSTALLERS = "*.run"
PLACES = "etc usr/bin usr/sbin usr/lib var/lib"
OWNED = r"\( ! -user root -o ! -group root -o -perm /7000 \) -printf '%p %U:%G %m\n'"
"""Files that a plain `cp -r` gets wrong: munge and ssh do not start with them, and sudo is refused."""


def gpu_nodes(cluster: ClusterView) -> tuple[NodeView, ...]:
    """The nodes with GPUs."""
    return tuple(node for node in cluster.compute if cluster.spec.node(node.name).gpus)


def trees(cluster: ClusterView) -> list[str]:
    """Complete chroots other than the one of the handout; one with a driver comes first."""
    command = f"cd {IMAGES} && for tree in *; do [ -e $tree/etc/shadow ] && ls -d $tree/usr/sbin/slurmd; done"
    found = [f"{IMAGES}/{line.partition('/')[0]}" for line in cluster.sms.run(command).output.splitlines()]
    others = [tree for tree in found if tree != BASE]
    return sorted(others, key=lambda tree: not has(cluster, f"{tree}/{SMI}"))


def has(cluster: ClusterView, path: str) -> bool:
    """Whether the SMS has such a file."""
    return cluster.sms.run(f"test -e {shlex.quote(path)}").exit_status == 0


@check(step="tree")
def gpu_nodes_have_a_tree(cluster: ClusterView) -> None:
    """There is a second chroot, a complete copy of the first."""
    if not trees(cluster):
        raise failed(
            expected=f"a copy of {BASE} beside it",
            actual=cluster.sms.run(f"ls {IMAGES}").output.split(),
            hint="Copy it as root, with everything in it.",
            node="sms",
            look=f"ls {IMAGES}",
        )


def owned(cluster: ClusterView, tree: str) -> dict[str, str]:
    """Owner, group and mode of each file of a chroot that has special ones."""
    command = f"cd {shlex.quote(tree)} && for d in {PLACES}; do [ -d $d ] && find $d {OWNED}; done"
    lines = cluster.sms.run(command).output.splitlines()
    return {path: kept for path, _, kept in (line.partition(" ") for line in lines)}


@check(step="tree", needs=[gpu_nodes_have_a_tree])
def copy_keeps_its_owners(cluster: ClusterView) -> None:
    """In that copy, files belong to the same users as in the first chroot and have the same modes."""
    tree = trees(cluster)[0]
    kept, wanted = owned(cluster, tree), owned(cluster, BASE)
    lost = [path for path in wanted if path not in kept and has(cluster, f"{tree}/{path}")]
    if lost:
        first = next((path for path in lost if "munge" in path), lost[0])
        raise failed(
            expected=f"{BASE}/{first}: {wanted[first]}, in the copy as well",
            actual=f"{len(lost)} files have lost their owner or mode, among them {tree}/{first}",
            hint="`cp -r` makes root the owner of all. munge, for one, does not start with such files.",
            node="sms",
            look=f"ls -ld {BASE}/{first} {tree}/{first}",
            final=True,
        )


@check(step="install", needs=[gpu_nodes_have_a_tree])
def driver_is_in_the_tree(cluster: ClusterView) -> None:
    """The driver is installed in that chroot."""
    tree = trees(cluster)[0]
    if not has(cluster, f"{tree}/{SMI}"):
        elsewhere = next((place for place in (BASE, "") if has(cluster, f"{place}/{SMI}")), None)
        names = {BASE: "in the chroot of all nodes", "": "on the SMS itself"}
        raise failed(
            expected=f"nvidia-smi in {tree}",
            actual="no driver" if elsewhere is None else f"it is {names[elsewhere]}",
            hint="Run the installer in the chroot, with `chroot`; it says what it needs there."
            if elsewhere is None
            else "Without `chroot DIRECTORY` it installs on the running system. `--uninstall` undoes it.",
            node="sms",
            look=f"ls {tree}/usr/bin/nvidia-smi",
        )


@check(step="install", needs=[driver_is_in_the_tree])
def driver_is_for_their_kernel(cluster: ClusterView) -> None:
    """The driver is built for the kernel that the GPU nodes boot."""
    tree = trees(cluster)[0]
    made = cluster.sms.run(
        f"cd {shlex.quote(tree)}/lib/modules && ls -d */{MODULE} | cut -d/ -f1"
    ).output.split()
    for node in gpu_nodes(cluster):
        kernel = bootstrap_of(cluster, node.name).kernel
        if kernel not in made:
            raise failed(
                expected=f"a driver for {kernel}, which {node.name} boots",
                actual=f"built for {', '.join(made)}" if made else "no module",
                hint="`--kernel-name` selects the kernel; `ssh g1 uname -r` shows the kernel of a node.",
                node="sms",
                look=f"ls {tree}/lib/modules",
            )


@check(step="install", needs=[driver_is_in_the_tree])
def base_tree_is_as_it_was(cluster: ClusterView) -> None:
    """The chroot of all other nodes has no driver."""
    if has(cluster, f"{BASE}/{SMI}"):
        raise failed(
            expected=f"no nvidia-smi in {BASE}",
            actual="one is there",
            hint="The installer removes its driver if you run it in that chroot with --uninstall.",
            node="sms",
            look=f"ls {BASE}/usr/bin/nvidia-smi",
        )


@check(step="tidy", needs=[driver_is_in_the_tree])
def nothing_is_mounted_there(cluster: ClusterView) -> None:
    """Nothing is mounted in any chroot."""
    found = cluster.sms.run(f"findmnt -rno TARGET | grep '^{IMAGES}/'").output.split()
    if found:
        raise failed(
            expected="no mount in a chroot",
            actual=found,
            hint="What you bind-mounted for the installer is still mounted.",
            node="sms",
            look=f"findmnt | grep {IMAGES}",
        )


@check(step="tidy", needs=[driver_is_in_the_tree])
def installer_is_gone(cluster: ClusterView) -> None:
    """No installer is left in a chroot."""
    found = cluster.sms.run(f"find {IMAGES} -xdev -type f -name '*.run'").output.split()
    if found:
        raise failed(
            expected="no .run file in a chroot",
            actual=found,
            hint="Everything in the chroot is packed, and takes memory on the nodes.",
            node="sms",
            look=f"find {IMAGES} -name '*.run'",
        )


def vnfs_trees(cluster: ClusterView) -> dict[str, str]:
    """The chroot that each VNFS was packed from."""
    return {row.name: row.chroot for row in cluster.sms.fact(warewulf.vnfs_list)}


@check(step="boot", needs=[gpu_nodes_have_a_tree])
def gpu_nodes_are_given_it(cluster: ClusterView) -> None:
    """The GPU nodes are assigned a VNFS that was packed from that chroot."""
    packed = vnfs_trees(cluster)
    for node in gpu_nodes(cluster):
        name = cluster.sms.fact(warewulf.provision_print(node.name)).vnfs
        if packed.get(name, BASE).rstrip("/") == BASE:
            raise failed(
                expected=f"{node.name} with a VNFS other than that of all nodes",
                actual=f"{name}; there are {', '.join(sorted(packed))}",
                hint="`wwvnfs` packs a chroot; `wwsh provision set` assigns a VNFS to a node."
                if len(packed) < 2
                else "The VNFS exists. Which nodes is it assigned to?",
                node="sms",
                look="wwsh provision list",
            )


@check(step="boot", needs=[gpu_nodes_are_given_it])
def the_others_keep_theirs(cluster: ClusterView) -> None:
    """Nodes without GPUs are assigned the same VNFS as before."""
    packed, gpus = vnfs_trees(cluster), {node.name for node in gpu_nodes(cluster)}
    for row in cluster.sms.fact(warewulf.provision_list):
        name = cluster.sms.fact(warewulf.provision_print(row.name)).vnfs
        if row.name not in gpus and packed.get(name, "").rstrip("/") != BASE:
            raise failed(
                expected=f"{row.name} with a VNFS packed from {BASE}",
                actual=name,
                hint="Only the GPU nodes need a driver; on the others it wastes memory.",
                node="sms",
                look="wwsh provision list",
            )


@check(step="boot", needs=[the_others_keep_theirs, base_tree_is_as_it_was])
def their_image_has_no_driver(cluster: ClusterView) -> None:
    """The image that nodes without GPUs boot contains no driver."""
    gpus = {node.name for node in gpu_nodes(cluster)}
    others = [node for node in cluster.compute if node.name not in gpus]
    for name in one_for_each_vnfs(cluster, others):
        if image_of(cluster, name, SMI).has(SMI):
            raise failed(
                expected=f"no /{SMI} in the image that {name} boots",
                actual="it is there, although the chroot has none",
                hint="The image was packed while the driver was in the chroot. Pack it again.",
                node="sms",
                look="ls -l --time-style=full-iso /srv/warewulf/vnfs/*",
                final=True,
            )


def packed(cluster: ClusterView, node: str) -> VnfsImage:
    """The image that a GPU node boots next."""
    return image_of(cluster, node, SMI, f"usr/lib/modules/*/{MODULE}", INSTALLERS)


@check(step="boot", needs=[gpu_nodes_are_given_it, driver_is_for_their_kernel])
def image_has_the_driver(cluster: ClusterView) -> None:
    """The image of that VNFS contains the driver, for the kernel that the GPU nodes boot."""
    for node in gpu_nodes(cluster):
        image, kernel = packed(cluster, node.name), bootstrap_of(cluster, node.name).kernel
        for path in (SMI, f"usr/lib/modules/{kernel}/{MODULE}"):
            if not image.has(path):
                raise not_packed(cluster, node.name, path)


@check(step="boot", needs=[image_has_the_driver, installer_is_gone])
def image_has_no_installer(cluster: ClusterView) -> None:
    """The image contains no installer: the chroot was packed after it was cleaned up."""
    for name in one_for_each_vnfs(cluster, gpu_nodes(cluster)):
        files = packed(cluster, name).files
        found = [path for path, both in files.items() if path.endswith(".run") and both.image]
        if found:
            raise failed(
                expected="no .run file in the image",
                actual=[f"/{path}" for path in found],
                hint="The chroot was packed before it was cleaned up. Pack it again.",
                node="sms",
                look="ls -l --time-style=full-iso /srv/warewulf/vnfs/*",
                final=True,
            )


@check(step="boot", needs=[image_has_the_driver], settle=60)
def gpus_answer(cluster: ClusterView) -> None:
    """nvidia-smi shows all GPUs on each GPU node."""
    for node in gpu_nodes(cluster):
        wanted = cluster.spec.node(node.name).gpus
        answer = node.run("nvidia-smi -L")
        if answer.exit_status != 0 or answer.output.count("GPU ") < wanted:
            older = node.fact(systemd.booted) < packed(cluster, node.name).packed
            raise failed(
                expected=f"{wanted} GPUs on {node.name}",
                actual=answer.output.strip() or f"status {answer.exit_status}",
                hint=f"The image has the driver, but {node.name} booted before it was packed."
                if older
                else f"The image has the driver. `lab console {node.name}` shows which VNFS it unpacked.",
                node=node.name,
                look="uptime -s; nvidia-smi -L",
                final=older and stands(node),
            )


@check(step="boot", needs=[gpus_answer, image_has_no_installer])
def no_installer_came_along(cluster: ClusterView) -> None:
    """No installer is on a GPU node."""
    for node in gpu_nodes(cluster):
        found = node.run("find / -xdev -type f -name '*.run'").output.split()
        if found:
            raise failed(
                expected=f"no .run file on {node.name}",
                actual=found,
                hint="The image has none. What does the node run that is not in the image?",
                node=node.name,
                look="uptime -s; find / -xdev -name '*.run'",
                final=True,
            )


@check(step="use", needs=[gpus_answer], settle=60)
def gpu_nodes_take_jobs(cluster: ClusterView) -> None:
    """The GPU nodes are in service in Slurm."""
    known = cluster.sms.fact(slurm.nodes)
    names = [node.name for node in gpu_nodes(cluster)]
    out = {name: known[name].label.lower() for name in names if name in known and not known[name].takes_jobs}
    if out:
        raise failed(
            expected=f"{' and '.join(names)} idle or busy",
            actual=out,
            hint="If you drained a node, you must resume it. `sinfo -R` shows the reasons.",
            node="sms",
            look="sinfo -R",
        )


@check(step="use", needs=[gpu_nodes_take_jobs], timeout=60)
def a_job_gets_a_gpu(cluster: ClusterView) -> None:
    """A job that requests one GPU gets one, on a node where nvidia-smi works."""
    command = "cd && srun --immediate=20 --gres=gpu:1 sh -c 'echo mine=$CUDA_VISIBLE_DEVICES; nvidia-smi -L'"
    answer = cluster.sms.run(command, user="user1", timeout=45)
    mine = [line.partition("=")[2] for line in answer.output.splitlines() if line.startswith("mine=")]
    if answer.exit_status != 0 or len(mine) != 1 or not mine[0].isdigit():
        raise failed(
            expected="a job with one number in CUDA_VISIBLE_DEVICES",
            actual=answer.output.strip() or f"status {answer.exit_status}",
            hint="Run the same job yourself. What does it print?",
            node="sms",
            look="srun --gres=gpu:1 nvidia-smi -L",
        )
