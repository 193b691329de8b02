"""KERN-1: a kernel from the chroot, its bootstrap assigned to every node, and nodes that run it.

What must outlive the next boot is in the bootstrap: its content is looked at, not its name, and the modules
that nodes have loaded must be in it.
"""

from __future__ import annotations

from lab.checks import ClusterView, NodeView, bootstrap_of, check, chroot_of, failed, not_in_bootstrap
from lab.facts import next_boot, slurm, systemd, warewulf


def kernels(cluster: ClusterView, root: str) -> set[str]:
    """Versions of the kernels in a folder that also has their modules."""
    files = f"find {root}/boot -maxdepth 1 -name 'vmlinuz-*' -printf '%f\\n' 2>/dev/null"
    folders = f"find {root}/lib/modules/ -mindepth 1 -maxdepth 1 -printf '%f\\n' 2>/dev/null"
    booted = {name.removeprefix("vmlinuz-") for name in cluster.sms.run(files).output.split()}
    return booted & set(cluster.sms.run(folders).output.split())


def new_kernels(cluster: ClusterView) -> set[str]:
    """Kernels in the chroot that the SMS does not run."""
    return kernels(cluster, chroot_of(cluster, "login")) - {cluster.sms.run("uname -r").output.strip()}


def cpu_nodes(cluster: ClusterView) -> list[NodeView]:
    """The compute nodes without GPUs."""
    kinds = {node.name: (node.role.value, node.tag.value) for node in cluster.spec.nodes}
    return [cluster.node(name) for name, kind in kinds.items() if kind == ("compute", "cpu")]


@check(step="install")
def folder_has_a_kernel(cluster: ClusterView) -> None:
    """The chroot has a kernel, with its modules, that the SMS does not run."""
    if not new_kernels(cluster):
        root = chroot_of(cluster, "login")
        raise failed(
            expected="a kernel other than that of the SMS, in boot and lib/modules",
            actual=kernels(cluster, root) or "no kernel",
            hint="`yum` can install into a chroot.",
            node="sms",
            look=f"ls {root}/boot {root}/lib/modules",
        )


@check(step="bootstrap", needs=[folder_has_a_kernel])
def bootstrap_of_that_kernel(cluster: ClusterView) -> None:
    """Warewulf has a bootstrap with that kernel."""
    names = sorted(row.name for row in cluster.sms.fact(warewulf.bootstrap_list))
    wanted = new_kernels(cluster)
    inside = {name: cluster.sms.fact(next_boot.bootstrap(name)).kernel for name in names}
    if not set(inside.values()) & wanted:
        mislabelled = {name: f"has the kernel {inside[name]}" for name in names if name in wanted}
        raise failed(
            expected=f"a bootstrap with the kernel {' or '.join(sorted(wanted))}",
            actual=mislabelled or names,
            hint="`wwbootstrap` searches the SMS, unless you name a chroot.",
            node="sms",
            look="wwsh bootstrap list",
        )


@check(step="assign", needs=[bootstrap_of_that_kernel])
def every_node_is_given_it(cluster: ClusterView) -> None:
    """Every node in Warewulf's database is assigned that bootstrap."""
    wanted = new_kernels(cluster)
    given = {
        row.name: cluster.sms.fact(warewulf.provision_print(row.name)).bootstrap
        for row in cluster.sms.fact(warewulf.node_list)
    }
    inside = {
        name: cluster.sms.fact(next_boot.bootstrap(name)).kernel for name in sorted(set(given.values()))
    }
    others = {node: name for node, name in given.items() if inside[name] not in wanted}
    if others or len(set(inside.values())) != 1:
        raise failed(
            expected=f"{' or '.join(sorted(wanted))} for every node",
            actual=others or given,
            hint="Which nodes does the pattern `'*'` match, and which does `'c*'`?",
            node="sms",
            look="wwsh provision list",
        )


@check(step="boot", needs=[every_node_is_given_it], settle=60, timeout=40)
def nodes_run_it(cluster: ClusterView) -> None:
    """The login node and the compute nodes run that kernel."""
    for node in [cluster.login, *cpu_nodes(cluster)]:
        bootstrap = bootstrap_of(cluster, node.name)
        found = node.run("uname -r").output.strip()
        if found != bootstrap.kernel:
            older = node.fact(systemd.booted) < bootstrap.built
            raise failed(
                expected=bootstrap.kernel,
                actual=found,
                hint=f"{node.name} booted before this bootstrap was built."
                if older
                else "Has the node booted since you assigned the bootstrap?",
                node=node.name,
                look="uptime -s; uname -r",
            )


@check(step="boot", needs=[nodes_run_it])
def modules_come_with_the_bootstrap(cluster: ClusterView) -> None:
    """The login node and the compute nodes have loaded only modules that the bootstrap contains."""
    for node in [cluster.login, *cpu_nodes(cluster)]:
        strange = not_in_bootstrap(cluster, node)
        if strange:
            raise failed(
                expected="every loaded module in the bootstrap",
                actual=f"{node.name}: not there: {', '.join(strange)}",
                hint="The next boot would lose them. `wwbootstrap` packs what bootstrap.conf lists.",
                node=node.name,
                look="lsmod",
                final=True,
            )


@check(step="boot", needs=[nodes_run_it])
def sms_runs_its_own(cluster: ClusterView) -> None:
    """The SMS runs a different kernel from the nodes."""
    own, theirs = (node.run("uname -r").output.strip() for node in (cluster.sms, cluster.login))
    if own == theirs:
        raise failed(
            expected=f"a kernel other than {theirs}",
            actual=own,
            hint="In which system did you install the package?",
            node="sms",
            look="uname -r",
        )


@check(step="boot", needs=[nodes_run_it], settle=30)
def firewall_still_runs(cluster: ClusterView) -> None:
    """The firewall of the login node runs with the new kernel too."""
    unit = cluster.login.fact(systemd.unit("firewalld.service"))
    if unit.active != "active":
        raise failed(
            expected="firewalld is active",
            actual=f"firewalld is {unit.active}",
            hint="Does bootstrap.conf on the SMS still list kernel/net/?",
            node="login",
            look="systemctl status firewalld",
        )


@check(step="boot", needs=[nodes_run_it], settle=45)
def compute_nodes_take_jobs(cluster: ClusterView) -> None:
    """The compute nodes are back in service and take jobs."""
    names = {node.name for node in cpu_nodes(cluster)}
    states = {node: state for node, state in cluster.sms.fact(slurm.node_states).items() if node in names}
    if any(state not in ("idle", "mixed", "allocated") for state in states.values()):
        raise failed(
            expected="idle",
            actual=states,
            hint="What reason does sinfo -R show? Reboot compute nodes through Slurm.",
            node="sms",
            look="sinfo -R",
        )
