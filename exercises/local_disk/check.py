"""SEMI-2: the system, swap and /tmp of c1 and c2 are on their disks, which each boot formats.

What must last are the layout in Warewulf's database, and the drivers that the bootstrap loads.
It is there that they are looked for, not in the words of bootstrap.conf.
"""

from __future__ import annotations

import re

from lab.checks import ClusterView, NodeView, bootstrap_of, check, failed
from lab.facts import slurm, storage, systemd, warewulf

DISK = "/dev/vda"
MIB = 1 << 20
LOADER = (1 * MIB, 2 * MIB)  # start and size of the first partition in the handout
WANTED = {2: (3, 512), 3: (515, 2048), 4: (2563, 2048)}  # number: first MiB, size in MiB
LAST = (5, 4611)
ALIGNMENT = 2 * MIB
NAMES = {2: "boot", 3: "swap", 4: "root", 5: "tmp"}
PLACES = {"/": 4, "/boot": 2, "/tmp": 5}  # noqa: S108 (of the node)
MODULES = ("virtio_blk", "ext4")
CONF = "/etc/warewulf/bootstrap.conf"
REMAKING = {"mklabel", "mktable", "mkpart", "rm"}


def nodes(cluster: ClusterView) -> list[NodeView]:
    """The nodes whose names begin with c."""
    return [node for node in cluster.compute if node.name.startswith("c")]


def stored(cluster: ClusterView, node: NodeView) -> list[list[str]]:
    """The commands of the layout that is assigned to a node, split into words."""
    layout = cluster.sms.fact(warewulf.provision_print(node.name)).filesystem
    return [command.split() for command in layout.split(",") if command.strip()]


def divided(node: NodeView) -> str:
    """What is wrong with the partitions after the first; empty if nothing is."""
    table = node.fact(storage.partitions(DISK))
    found = {part.number: part for part in table.partitions}
    for number, (start, size) in WANTED.items():
        part = found.get(number)
        if part is None:
            return f"no partition {number}"
        if abs(part.start - start * MIB) > ALIGNMENT or abs(part.size - size * MIB) > ALIGNMENT:
            return f"partition {number} from {part.start // MIB} MiB, {part.size // MIB} MiB large"
    number, start = LAST
    part = found.get(number)
    if part is None:
        return f"no partition {number}"
    if abs(part.start - start * MIB) > ALIGNMENT or table.size - part.end > ALIGNMENT:
        return f"partition {number} from {part.start // MIB} MiB to {part.end // MIB} MiB"
    return ""


@check(step="divide", settle=60)
def disks_are_divided(cluster: ClusterView) -> None:
    """The disks of c1 and c2 have partitions 2 to 5, at the positions in the table."""
    wrong = {node.name: found for node in nodes(cluster) if (found := divided(node))}
    if wrong:
        raise failed(
            expected="partitions 2 to 5 of 512 MiB, 2 GiB, 2 GiB and the rest",
            actual=wrong,
            hint="Run `parted` on the node that has the disk: once for each node.",
            node=next(iter(wrong)),
            look=f"parted -l {DISK}",
            final=True,
        )


@check(step="divide", needs=[disks_are_divided])
def first_partition_is_untouched(cluster: ClusterView) -> None:
    """Their first partition has its original start, size and flag (esp)."""
    for node in nodes(cluster):
        table = node.fact(storage.partitions(DISK))
        first = next((part for part in table.partitions if part.number == 1), None)
        if first is None or (first.start, first.size) != LOADER or "esp" not in first.flags:
            actual = "it is gone"
            if first is not None:
                flags = " ".join(first.flags) or "none"
                actual = f"from {first.start // MIB} MiB, {first.size // MIB} MiB large, flags: {flags}"
            raise failed(
                expected="partition 1 from 1 MiB to 3 MiB, with the flag esp",
                actual=f"partition 1 of {node.name}: {actual}",
                hint="A new partition table is empty. `lab reset local_disk` restores the original disk.",
                node=node.name,
                look=f"parted -l {DISK}",
            )


@check(step="assign")
def nodes_are_given_the_layout(cluster: ClusterView) -> None:
    """Warewulf has a disk layout for both nodes that formats and mounts /, /boot, /tmp and swap."""
    for node in nodes(cluster):
        commands = stored(cluster, node)
        mounted = {words[2]: words[1] for words in commands if words[0] == "fstab"}
        swap = [words[1] for words in commands if words[0] == "fstab" and words[3:4] == ["swap"]]
        formatted = {words[1] for words in commands if words[0] == "mkfs"}
        missing = [place for place in PLACES if place not in mounted] + ([] if swap else ["swap"])
        wanted = {**{place: str(number) for place, number in PLACES.items()}, "swap": "3"}
        placed = {**mounted, **({"swap": swap[0]} if swap else {})}
        moved = [
            place
            for place, number in wanted.items()
            if placed.get(place, "").isdigit() and placed[place] != number
        ]
        stale = [
            number for number in (*mounted.values(), *swap) if number.isdigit() and number not in formatted
        ]
        if ["select", DISK] not in commands or missing or stale or moved:
            actual = "no layout"
            if commands:
                parts = [f"nothing for {', '.join(missing)}"] if missing else []
                parts += [f"no mkfs for {', '.join(dict.fromkeys(stale))}"] if stale else []
                parts += [f"partition {placed[place]} for {place}" for place in moved]
                actual = "; ".join(parts) or f"no `select {DISK}`"
            raise failed(
                expected=f"select {DISK}, and mkfs and fstab for {', '.join(PLACES)} and swap",
                actual=f"{node.name}: {actual}",
                hint="Warewulf stores the commands when you set them, not when the node boots.",
                node="sms",
                look=f"wwsh provision print {node.name} | grep FS",
            )


@check(step="assign", needs=[nodes_are_given_the_layout])
def no_boot_makes_a_new_table(cluster: ClusterView) -> None:
    """No command of the layout creates or removes partitions."""
    for node in nodes(cluster):
        found = [" ".join(words) for words in stored(cluster, node) if words[0] in REMAKING]
        if found:
            raise failed(
                expected="select, name, mkfs and fstab only",
                actual=found,
                hint="The layout runs at every boot. What would happen to partition 1?",
                node="sms",
                look=f"wwsh provision print {node.name} | grep FS",
            )


def listed_modules(text: str) -> list[str]:
    """The modules in the `modprobe += …` lines of bootstrap.conf."""
    listed: list[str] = []
    for how, words in re.findall(r"(?m)^\s*modprobe\s*(\+?=)\s*(.*?)\s*(?:#.*)?$", text):
        found = re.split(r"[\s,]+", words.replace("-", "_"))
        listed = [*listed, *found] if how == "+=" else found
    return listed


@check(step="drivers")
def bootstrap_loads_the_drivers(cluster: ClusterView) -> None:
    """The bootstrap of both nodes loads the disk driver and the file system driver."""
    for node in nodes(cluster):
        bootstrap = bootstrap_of(cluster, node.name)
        missing = bootstrap.does_not_load(*MODULES)
        if not missing:
            continue
        listed = listed_modules(cluster.sms.run(f"cat {CONF}").output)
        built = all(module in listed for module in missing)
        raise failed(
            expected=f"a bootstrap that loads {' and '.join(MODULES)}",
            actual=f"{node.name} boots one that does not load {' and '.join(missing)}"
            + ("; bootstrap.conf lists it, but the bootstrap was built without it" if built else ""),
            hint="Only `wwbootstrap` reads bootstrap.conf. It asks whether to overwrite the old one."
            if built
            else "bootstrap.conf has two lists: modules to pack, and modules to load.",
            node="sms",
            look="zcat /srv/warewulf/bootstrap/*/*/initfs.gz | cpio -i --to-stdout etc/warewulf/modprobe"
            if built
            else f"grep modprobe {CONF}",
            final=True,
        )


@check(step="boot", settle=60)
def root_is_on_the_disk(cluster: ClusterView) -> None:
    """Both nodes run from their disk: / is ext4 on partition 4."""
    for node in nodes(cluster):
        root = node.fact(storage.mount("/"))
        if (root.source, root.fstype) != (f"{DISK}4", "ext4"):
            older = node.fact(systemd.booted) < bootstrap_of(cluster, node.name).built
            raise failed(
                expected=f"{DISK}4, ext4",
                actual=f"{node.name}: {root.source}, {root.fstype}"
                + ("; it booted before the bootstrap was built" if older else ""),
                hint="A node is made anew when it boots."
                if older
                else f"Has it booted with the layout? If so, `lab console {node.name}` shows what failed.",
                node=node.name,
                look="findmnt /; uptime -s",
                final=True,  # while the node boots, no shell could report this
            )


@check(step="boot", needs=[root_is_on_the_disk])
def the_rest_is_where_it_belongs(cluster: ClusterView) -> None:
    """/boot is partition 2, swap is partition 3, /tmp is partition 5, and the partitions have their names."""
    for node in nodes(cluster):
        sources = {place: node.fact(storage.mount(place)).source for place in PLACES}
        wanted = {place: f"{DISK}{number}" for place, number in PLACES.items()}
        names = {part.number: part.name for part in node.fact(storage.partitions(DISK)).partitions}
        swaps = [line.split()[0] for line in node.run("cat /proc/swaps").output.splitlines()[1:]]
        actual = {place: source for place, source in sources.items() if source != wanted[place]}
        actual |= {} if f"{DISK}3" in swaps else {"swap": ", ".join(swaps) or "none"}
        for number, name in NAMES.items():
            if names.get(number) != name:
                actual[f"name of partition {number}"] = names.get(number) or "none"
        if actual:
            raise failed(
                expected=f"{wanted}, swap: {DISK}3".strip("{}").replace("'", ""),
                actual=f"{node.name}: " + "; ".join(f"{what}: {value}" for what, value in actual.items()),
                hint="The numbers in `name`, `mkfs` and `fstab` are those of the partitions.",
                node=node.name,
                look="lsblk; swapon --show",
            )


@check(step="boot", needs=[root_is_on_the_disk])
def every_boot_starts_clean(cluster: ClusterView) -> None:
    """The file systems on / and /tmp were created during this boot."""
    for node in nodes(cluster):
        began = node.fact(systemd.booted)
        for place in [place for place in PLACES if place != "/boot"]:
            device = node.fact(storage.mount(place)).source
            made = node.fact(storage.made(device))
            if made < began - 5:
                raise failed(
                    expected=f"{device} created after the node began to boot",
                    actual=f"{node.name}: created {began - made} s before",
                    hint="The layout needs an `mkfs` for it.",
                    node=node.name,
                    look=f"dumpe2fs -h {device} | grep created; uptime -s",
                )


@check(step="boot", needs=[root_is_on_the_disk])
def memory_is_free_again(cluster: ClusterView) -> None:
    """The system is no longer in memory: `shared` memory is less than half of the space used on /."""
    for node in nodes(cluster):
        memory, root = node.fact(storage.memory), node.fact(storage.mount("/"))
        if memory.shared > root.used // 2:
            raise failed(
                expected=f"less than half of the {root.used // MIB} MiB used on /",
                actual=f"{node.name}: {memory.shared // MIB} MiB of files in memory (`shared`)",
                node=node.name,
                look="free -m; df -m /",
            )


@check(step="boot", needs=[root_is_on_the_disk], settle=60)
def slurm_has_them_back(cluster: ClusterView) -> None:
    """Both nodes are in service in Slurm, or are down only because of an unexpected reboot."""
    known = cluster.sms.fact(slurm.nodes)
    for node in nodes(cluster):
        found = known.get(node.name)
        if found is None or not (found.takes_jobs or "unexpectedly rebooted" in found.reason):
            raise failed(
                expected="idle or busy",
                actual=f"{node.name}: {found.label if found else 'unknown'}",
                node="sms",
                look="sinfo -R",
            )
