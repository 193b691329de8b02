"""CPLX-2: a script makes the database from data: once, twice, from nothing, and from a damaged one."""

from __future__ import annotations

from dataclasses import dataclass

from lab.checks import Cluster, check, failed
from lab.facts import warewulf
from lab.facts.fact import Fact

FOLDER = "/home/user1/rebuild_script"
SCRIPT = f"{FOLDER}/rebuild.py"
MARK = "@@trial"
# The database, and what wwsh writes besides, lie below three folders. In a namespace of its own a trial gets
# a layer over each: whatever the script does, with sudo or without, nobody else sees it, and it goes with it.
# What is mounted in these folders is put back over the layers.
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
wwsh -y node set "*" --netdev=eth0 --netmask=255.255.255.128 >/dev/null 2>&1
wwsh -y provision set "*" --files=passwd >/dev/null 2>&1
dump spoiled
run damaged
'"""


@dataclass(frozen=True)
class Trial:
    """The database after each part of the trial, as printed; and what the script printed."""

    executable: bool
    parts: dict[str, tuple[str, ...]]

    def same(self, part: str) -> bool:
        """Whether the database is after a part what it is outside of the trial."""
        return self.parts[part] == self.parts["now"]

    def said(self, part: str) -> str:
        """What the script printed last in a part."""
        return "\n".join(self.parts[f"{part}-output"])

    def difference(self, part: str) -> str:
        """The first settings that are not as they should be."""
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


def tried(cluster: Cluster) -> Trial:
    """The trial's result; made once for all checks that look at the same time."""
    return cluster.sms.fact(trial, timeout=280)


@check(step="data")
def data_is_complete(cluster: Cluster) -> None:
    """The table, or the script, tells the MAC and the address of every node."""
    text = cluster.sms.run(f"cat {FOLDER}/nodes.csv {SCRIPT}").output.lower()
    for row in cluster.sms.fact(warewulf.node_list):
        missing = [value for value in (*row.macs, *row.addresses) if value.lower() not in text]
        if missing:
            raise failed(
                expected=f"{row.name} with {', '.join((*row.addresses, *row.macs))}",
                actual=f"no word of {', '.join(missing)}",
                hint="`wwsh node print` has all of it.",
                node="sms",
                look=f"cat {FOLDER}/nodes.csv",
            )


@check(step="run", timeout=300)
def it_runs_to_its_end(cluster: Cluster) -> None:
    """The script can be run, and runs to its end without an error of Python's."""
    found = tried(cluster)
    if not found.executable:
        raise failed(
            expected=f"{SCRIPT} that can be run",
            actual="there is no such file, or it is not executable",
            hint="`ls -l` shows it; root is no exception.",
            node="sms",
            look=f"ls -l {SCRIPT}",
        )
    if "Traceback" in found.said("first") or "Error:" in found.said("first"):
        raise failed(
            expected="no error",
            actual=found.said("first").splitlines()[-1],
            hint="The line above says where.",
            node="sms",
            look=f"sudo {SCRIPT}",
        )


@check(step="run", needs=[it_runs_to_its_end], timeout=300)
def wwsh_understands_it(cluster: Cluster) -> None:
    """On an empty database, wwsh finds no fault with what the script tells it."""
    text = tried(cluster).said("empty")
    errors = [line for line in text.splitlines() if "ERROR" in line or "Traceback" in line]
    if errors:
        raise failed(
            expected="no ERROR",
            actual=errors[0].strip(),
            hint="Print the command before it is run. Are there blanks where there should be?",
            node="sms",
            look=f"sudo {SCRIPT}",
        )


@check(step="twice", needs=[data_is_complete, wwsh_understands_it], timeout=300)
def running_it_changes_nothing(cluster: Cluster) -> None:
    """Run twice where all is as it should be, it changes nothing and meets no error."""
    found = tried(cluster)
    for part in ("first", "second"):
        errors = [line.strip() for line in found.said(part).splitlines() if "ERROR" in line]
        if errors or not found.same(part):
            raise failed(
                expected="the database as it was",
                actual=errors[0] if errors else found.difference(part),
                hint="What does the script do with a node that is there already?",
                node="sms",
                look=f"sudo {SCRIPT}",
            )


@check(step="rebuild", needs=[data_is_complete, wwsh_understands_it], timeout=300)
def it_rebuilds_from_nothing(cluster: Cluster) -> None:
    """From an empty database it makes what is there now."""
    found = tried(cluster)
    if not found.same("empty"):
        raise failed(
            expected="the same database, made anew",
            actual=found.difference("empty"),
            hint="Compare what `wwsh node print` and `wwsh provision print` say before and after.",
            node="sms",
            look=f"cat {SCRIPT}",
        )


@check(step="rebuild", needs=[running_it_changes_nothing, it_rebuilds_from_nothing], timeout=300)
def it_mends_what_was_changed(cluster: Cluster) -> None:
    """Settings that somebody changed are brought back."""
    found = tried(cluster)
    if not found.same("damaged"):
        raise failed(
            expected="the netmask and the files of every node brought back",
            actual=found.difference("damaged"),
            hint="A node that exists needs all of its settings set, not only those that are missing.",
            node="sms",
            look=f"cat {SCRIPT}",
        )
