"""SEMI-2: system, swap and /tmp of c1 and c2 are on their disks, formatted at each boot."""

from __future__ import annotations

import re

from lab.checks import Cluster, NodeView, check, failed
from lab.facts import slurm, storage, warewulf

DISK = "/dev/vda"
MIB = 1 << 20
LOADER = (1 * MIB, 2 * MIB)  # where the first partition begins, and its size, as handed out
WANTED = {2: (3, 512), 3: (515, 2048), 4: (2563, 2048)}  # number: first MiB, size in MiB
LAST = (5, 4611)
ALIGNMENT = 2 * MIB
NAMES = {2: "boot", 3: "swap", 4: "root", 5: "tmp"}
PLACES = {"/": 4, "/boot": 2, "/tmp": 5}  # noqa: S108 (of the node)
MODULES = ("virtio_blk", "ext4")
BEGAN = """t=$(systemctl show -P KernelTimestamp --timestamp=unix)
case $t in @*) echo "${t#@}" ;; *) date -d "$(uptime -s)" +%s ;; esac"""
"""When a node began to boot, by its clock of then. `uptime` counts back from now, and the clock may have been
set since; but a system in a container knows nothing else."""
REMAKING = {"mklabel", "mktable", "mkpart", "rm"}


def nodes(cluster: Cluster) -> list[NodeView]:
    """The nodes whose names begin with c."""
    return [node for node in cluster.compute if node.name.startswith("c")]


def stored(cluster: Cluster, node: NodeView) -> list[list[str]]:
    """The commands of the layout that a node is given, word by word."""
    layout = cluster.sms.fact(warewulf.provision_print(node.name)).filesystem
    return [command.split() for command in layout.split(",") if command.strip()]


def divided(node: NodeView) -> str:
    """What is wrong with the partitions behind the first; empty when nothing is."""
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
def disks_are_divided(cluster: Cluster) -> None:
    """The disks of c1 and c2 have partitions 2 to 5, where the table says."""
    wrong = {node.name: found for node in nodes(cluster) if (found := divided(node))}
    if wrong:
        raise failed(
            expected="partitions 2 to 5 of 512 MiB, 2 GiB, 2 GiB and the rest",
            actual=wrong,
            hint="`parted` runs on the node whose disk it is: once for each.",
            node=next(iter(wrong)),
            look=f"parted -l {DISK}",
            final=True,
        )


@check(step="divide", needs=[disks_are_divided])
def first_partition_is_untouched(cluster: Cluster) -> None:
    """Their first partition is where it was, as large, and still one for boot loaders."""
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
                hint="A new table begins empty. The disk as it was comes back with `lab reset local_disk`.",
                node=node.name,
                look=f"parted -l {DISK}",
            )


@check(step="assign")
def nodes_are_given_the_layout(cluster: Cluster) -> None:
    """Warewulf has a layout for both: the disk, /, /boot, /tmp and swap, each formatted before."""
    for node in nodes(cluster):
        commands = stored(cluster, node)
        mounted = {words[2]: words[1] for words in commands if words[0] == "fstab"}
        swap = [words[1] for words in commands if words[0] == "fstab" and words[3:4] == ["swap"]]
        formatted = {words[1] for words in commands if words[0] == "mkfs"}
        missing = [place for place in PLACES if place not in mounted] + ([] if swap else ["swap"])
        stale = [
            number for number in (*mounted.values(), *swap) if number.isdigit() and number not in formatted
        ]
        if ["select", DISK] not in commands or missing or stale:
            actual = "no layout"
            if commands:
                parts = [f"nothing for {', '.join(missing)}"] if missing else []
                parts += [f"no mkfs for {', '.join(dict.fromkeys(stale))}"] if stale else []
                actual = "; ".join(parts) or f"no `select {DISK}`"
            raise failed(
                expected=f"select {DISK}, and mkfs and fstab for {', '.join(PLACES)} and swap",
                actual=f"{node.name}: {actual}",
                hint="Commands are stored when you set them, not when the node boots.",
                node="sms",
                look=f"wwsh provision print {node.name} | grep FS",
            )


@check(step="assign", needs=[nodes_are_given_the_layout])
def no_boot_makes_a_new_table(cluster: Cluster) -> None:
    """No command of the layout makes or removes partitions."""
    for node in nodes(cluster):
        found = [" ".join(words) for words in stored(cluster, node) if words[0] in REMAKING]
        if found:
            raise failed(
                expected="select, name, mkfs and fstab only",
                actual=found,
                hint="It runs at every boot. What happens to partition 1?",
                node="sms",
                look=f"wwsh provision print {node.name} | grep FS",
            )


@check(step="drivers")
def bootstrap_loads_the_drivers(cluster: Cluster) -> None:
    """The driver of the disk and that of its file systems are in the list of modules to load."""
    text = cluster.sms.run("cat /etc/warewulf/bootstrap.conf").output
    listed: list[str] = []
    for how, words in re.findall(r"(?m)^\s*modprobe\s*(\+?=)\s*(.*?)\s*(?:#.*)?$", text):
        found = re.split(r"[\s,]+", words.replace("-", "_"))
        listed = [*listed, *found] if how == "+=" else found
    missing = [module for module in MODULES if module not in listed]
    if missing:
        raise failed(
            expected=f"modprobe += … with {' and '.join(MODULES)}",
            actual=f"no {' and no '.join(missing)}",
            hint="To pack a module and to load it are two lists in this file.",
            node="sms",
            look="grep modprobe /etc/warewulf/bootstrap.conf",
        )


@check(step="boot", settle=60)
def root_is_on_the_disk(cluster: Cluster) -> None:
    """Both run from their disk: / is an ext4 on partition 4."""
    for node in nodes(cluster):
        root = node.fact(storage.mount("/"))
        if (root.source, root.fstype) != (f"{DISK}4", "ext4"):
            raise failed(
                expected=f"{DISK}4, ext4",
                actual=f"{node.name}: {root.source}, {root.fstype}",
                hint=f"Has it booted since? If so, `lab console {node.name}` shows what failed.",
                node=node.name,
                look="findmnt /",
                final=True,  # while it boots, there is no shell to say this
            )


@check(step="boot", needs=[root_is_on_the_disk])
def the_rest_is_where_it_belongs(cluster: Cluster) -> None:
    """/boot is partition 2, /tmp is partition 5, swap is partition 3, and the names tell which is which."""
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
def every_boot_starts_clean(cluster: Cluster) -> None:
    """The file systems on / and /tmp were made in this boot."""
    for node in nodes(cluster):
        began = int(node.run(BEGAN).output.strip() or 0)
        for place in [place for place in PLACES if place != "/boot"]:
            device = node.fact(storage.mount(place)).source
            made = node.fact(storage.made(device))
            if made < began - 5:
                raise failed(
                    expected=f"{device} made after the node began to boot",
                    actual=f"{node.name}: made {began - made} s before",
                    hint="An `mkfs` for it belongs into the layout.",
                    node=node.name,
                    look=f"dumpe2fs -h {device} | grep created; uptime -s",
                )


@check(step="boot", needs=[root_is_on_the_disk])
def memory_is_free_again(cluster: Cluster) -> None:
    """Files in memory take less than half of what the system takes on the disk: it is no longer in memory."""
    for node in nodes(cluster):
        memory, root = node.fact(storage.memory), node.fact(storage.mount("/"))
        if memory.shared > root.used // 2:
            raise failed(
                expected=f"less than half of the {root.used // MIB} MiB of /",
                actual=f"{node.name}: {memory.shared // MIB} MiB are files in memory (`shared`)",
                node=node.name,
                look="free -m; df -m /",
            )


@check(step="boot", needs=[root_is_on_the_disk], settle=60)
def slurm_has_them_back(cluster: Cluster) -> None:
    """Slurm has both in service, or waits only to be told that a reboot was meant."""
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
