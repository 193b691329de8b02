"""CPLX-2: a script builds the database from data: once, twice, from nothing, and from a damaged one.

The next boot of a node follows the database, so the database must have what every node of this cluster needs:
an empty one would also be the same as before. The next boot of the SMS empties /tmp, and so does the trial.
"""

from __future__ import annotations

from dataclasses import dataclass

from lab.checks import MARK, ClusterView, check, failed, trial, trial_parts
from lab.facts import warewulf
from lab.facts.fact import Fact

FOLDER = "/home/user1/rebuild_script"
SCRIPT = f"{FOLDER}/rebuild.py"
# The database, and everything else that wwsh writes, is below /etc, /srv and /var.
TRIAL = f"""\
dump() {{ echo "{MARK} $1"; (wwsh node print; wwsh provision print) | grep "=" | grep -v " ID  *="; }}
run() {{
    echo "{MARK} $1-output"; (cd {FOLDER} && timeout 50 {SCRIPT}) </dev/null 2>&1 | tail -n 12; dump "$1"
}}
[ -x {SCRIPT} ] || {{ echo "{MARK} not-executable"; exit 0; }}
dump now
run first
run second
wwsh -y node delete "*" >/dev/null 2>&1
dump emptied
run empty
wwsh -y node set "*" --netdev=eth0 --netmask=255.255.255.252 >/dev/null 2>&1
wwsh -y provision set "*" --files=passwd >/dev/null 2>&1
dump spoiled
run damaged
"""


@dataclass(frozen=True)
class Trial:
    """The printed database after each part of the trial, and the output of the script."""

    executable: bool
    parts: dict[str, tuple[str, ...]]

    def same(self, part: str) -> bool:
        """Whether the database after a part equals the one outside of the trial."""
        return self.parts[part] == self.parts["now"]

    def said(self, part: str) -> str:
        """The last lines that the script printed in a part."""
        return "\n".join(self.parts[f"{part}-output"])

    def difference(self, part: str) -> str:
        """The first settings that are wrong."""
        wanted, found = self.parts["now"], self.parts[part]
        lost = [" ".join(line.split()) for line in wanted if line not in found]
        more = [" ".join(line.split()) for line in found if line not in wanted]
        words = [*(f"missing: {line}" for line in lost[:2]), *(f"instead: {line}" for line in more[:2])]
        return "; ".join(words) or "the same settings in another order"


def _trial(status: int, output: str) -> Trial:
    found = trial_parts(output)
    if "not-executable" not in found and "damaged" not in found:
        raise RuntimeError(f"the trial ended with status {status}: {output[-400:]}")
    return Trial("not-executable" not in found, {name: tuple(lines) for name, lines in found.items()})


trials: Fact[Trial] = Fact(trial(TRIAL), _trial, f"sudo {SCRIPT}")


def tried(cluster: ClusterView) -> Trial:
    """The result of the trial; all checks of one run share it."""
    return cluster.sms.fact(trials, timeout=280)


FILES = {"dynamic_hosts", "group", "munge.key", "network", "passwd", "shadow"}  # as in the handout
_PRINT = "wwsh node print; wwsh provision print"
database: Fact[dict[str, dict[str, str]]] = Fact(_PRINT, lambda _status, output: warewulf.blocks(output))
"""All settings of all nodes, by node; empty if there is none."""


def unbootable(cluster: ClusterView) -> dict[str, str]:
    """The compute nodes that could not boot and work with this database, and what is wrong with them."""
    known = cluster.sms.fact(database)
    images = {row.name for row in cluster.sms.fact(warewulf.vnfs_list)}
    bootstraps = {row.name for row in cluster.sms.fact(warewulf.bootstrap_list)}
    mask = str(cluster.spec.network("internal").subnet.netmask)
    wrong = {}
    for node in cluster.compute:
        values = known.get(node.name, {})
        lacking = FILES - set(values.get("FILES", "").split(","))
        faults = {
            "not in it": not values,
            f"its MAC address is {node.mac}": values.get("eth0.HWADDR", "").lower() != node.mac,
            f"its IP address is {node.address}": values.get("eth0.IPADDR") != node.address,
            f"the netmask is {mask}": values.get("eth0.NETMASK") != mask,
            "no such VNFS": values.get("VNFS") not in images,
            "no such bootstrap": values.get("BOOTSTRAP") not in bootstraps,
            f"without the files {', '.join(sorted(lacking))}": bool(lacking),
        }
        if found := [fault for fault, real in faults.items() if real]:
            wrong[node.name] = found[0]
    return wrong


@check(step="data")
def data_is_complete(cluster: ClusterView) -> None:
    """The database, and the table or the script, have the MAC address and the IP address of every node."""
    if wrong := unbootable(cluster):
        raise failed(
            expected="a database with all that the compute nodes need",
            actual=wrong,
            hint="The script must build the database as it was. `lab reset rebuild-script` restores it.",
            node="sms",
            look=_PRINT,
        )
    text = cluster.sms.run(f"cat {FOLDER}/nodes.csv {SCRIPT}").output.lower()
    for node in cluster.compute:
        missing = [value for value in (node.mac, node.address) if value not in text]
        if missing:
            raise failed(
                expected=f"{node.name} with {node.address}, {node.mac}",
                actual=f"missing: {', '.join(missing)}",
                hint="`wwsh node print` shows them.",
                node="sms",
                look=f"cat {FOLDER}/nodes.csv",
            )


@check(step="run", timeout=300)
def it_runs_to_its_end(cluster: ClusterView) -> None:
    """The script is executable, and ends without a Python error."""
    found = tried(cluster)
    if not found.executable:
        raise failed(
            expected=f"an executable {SCRIPT}",
            actual="no such file, or it is not executable",
            hint="`ls -l` shows the mode. Even root needs the x bit.",
            node="sms",
            look=f"ls -l {SCRIPT}",
        )
    if "Traceback" in found.said("first") or "Error:" in found.said("first"):
        last = found.said("first").splitlines()[-1]
        raise failed(
            expected="no error",
            actual=last,
            hint="The trial has an empty /tmp, as the SMS has after its next boot."
            if "/tmp/" in last  # noqa: S108 (of the SMS)
            else "The line above it says where.",
            node="sms",
            look=f"sudo {SCRIPT}",
        )


@check(step="run", needs=[it_runs_to_its_end], timeout=300)
def wwsh_understands_it(cluster: ClusterView) -> None:
    """On an empty database, wwsh reports no error for the commands of the script."""
    text = tried(cluster).said("empty")
    errors = [line for line in text.splitlines() if "ERROR" in line or "Traceback" in line]
    if errors:
        raise failed(
            expected="no ERROR",
            actual=errors[0].strip(),
            hint="Print each command before you run it. Are there spaces where they are needed?",
            node="sms",
            look=f"sudo {SCRIPT}",
        )


@check(step="twice", needs=[data_is_complete, wwsh_understands_it], timeout=300)
def running_it_changes_nothing(cluster: ClusterView) -> None:
    """Run twice on the current database, the script changes nothing and gets no error."""
    found = tried(cluster)
    for part in ("first", "second"):
        errors = [line.strip() for line in found.said(part).splitlines() if "ERROR" in line]
        if errors or not found.same(part):
            raise failed(
                expected="an unchanged database",
                actual=errors[0] if errors else found.difference(part),
                hint="What does the script do with an existing node?",
                node="sms",
                look=f"sudo {SCRIPT}",
            )


@check(step="rebuild", needs=[data_is_complete, wwsh_understands_it], timeout=300)
def it_rebuilds_from_nothing(cluster: ClusterView) -> None:
    """From an empty database the script builds the current one."""
    found = tried(cluster)
    if not found.same("empty"):
        raise failed(
            expected="the same database as before",
            actual=found.difference("empty"),
            hint="Compare the output of `wwsh node print` and `wwsh provision print` before and after.",
            node="sms",
            look=f"cat {SCRIPT}",
        )


@check(step="rebuild", needs=[running_it_changes_nothing, it_rebuilds_from_nothing], timeout=300)
def it_mends_what_was_changed(cluster: ClusterView) -> None:
    """The script corrects settings that somebody changed."""
    found = tried(cluster)
    if not found.same("damaged"):
        raise failed(
            expected="the original netmask and files on every node",
            actual=found.difference("damaged"),
            hint="Set all settings of a node that exists, not only the missing ones.",
            node="sms",
            look=f"cat {SCRIPT}",
        )
