"""CPLX-2: a script builds the database from data: once, twice, from nothing, and from a damaged one."""

from __future__ import annotations

from dataclasses import dataclass

from lab.checks import ClusterView, check, failed
from lab.facts import warewulf
from lab.facts.fact import Fact

FOLDER = "/home/user1/rebuild_script"
SCRIPT = f"{FOLDER}/rebuild.py"
MARK = "@@trial"
# The database, and everything else that wwsh writes, is below three folders. A trial has a mount namespace of
# its own with an overlay on each: whatever the script does, with sudo or without, only the trial sees it, and
# it is lost when the trial ends. Mounts inside these folders are bound over the overlays again.
TRIAL = f"""unshare --mount --propagation private sh -c '
dump() {{ echo "{MARK} $1"; (wwsh node print; wwsh provision print) | grep "=" | grep -v " ID  *="; }}
run() {{
    echo "{MARK} $1-output"; (cd {FOLDER} && timeout 50 {SCRIPT}) </dev/null 2>&1 | tail -n 12; dump "$1"
}}
mount -t tmpfs trial /mnt || exit 70
for place in etc srv var; do
    mkdir -p /mnt/$place /mnt/.$place /mnt/was/$place
    inside=$(findmnt -rno TARGET | grep "^/$place/")
    mount --rbind /$place /mnt/was/$place
    mount -t overlay -o lowerdir=/$place,upperdir=/mnt/$place,workdir=/mnt/.$place trial /$place || exit 70
    for path in $inside; do mount --bind /mnt/was$path $path; done
done
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
'"""


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
    parts: dict[str, list[str]] = {}
    here: list[str] = []
    for line in output.splitlines():
        if line.startswith(MARK):
            here = parts.setdefault(line.removeprefix(MARK).strip(), [])
        else:
            here.append(line)
    if "not-executable" not in parts and "damaged" not in parts:
        raise RuntimeError(f"the trial ended with status {status}: {output[-400:]}")
    return Trial("not-executable" not in parts, {name: tuple(lines) for name, lines in parts.items()})


trial: Fact[Trial] = Fact(TRIAL, _trial)


def tried(cluster: ClusterView) -> Trial:
    """The result of the trial; all checks of one run share it."""
    return cluster.sms.fact(trial, timeout=280)


@check(step="data")
def data_is_complete(cluster: ClusterView) -> None:
    """The table, or the script, has the MAC address and the IP address of every node."""
    text = cluster.sms.run(f"cat {FOLDER}/nodes.csv {SCRIPT}").output.lower()
    for row in cluster.sms.fact(warewulf.node_list):
        missing = [value for value in (*row.macs, *row.addresses) if value.lower() not in text]
        if missing:
            raise failed(
                expected=f"{row.name} with {', '.join((*row.addresses, *row.macs))}",
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
        raise failed(
            expected="no error",
            actual=found.said("first").splitlines()[-1],
            hint="The line above it says where.",
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
