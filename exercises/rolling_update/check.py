"""A rolling update: what two nodes boot and run, when they took jobs, and what became of the users' tasks.

The update of a node is the time from the packing of the image until it was back. What happens later, such as
a power cut, is not part of it. What must last is the image that the next boot takes.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from lab.checks import ClusterView, NodeView, check, failed, image_of, not_packed
from lab.facts import slurm

STAMP = "/etc/image-release"
TASKS = "tasks.log"
USERS = ("user1", "user2")
SECONDS = 30  # more than a task takes; prepare.sh says how long
# Words of slurmctld's log (slurmctld/proc_req.c, node_mgr.c).
REQUESTED = re.compile(r"reboot request queued for nodes (\S+)")
SET = re.compile(r"update_node: node (\S+) state set to (\w+)", re.IGNORECASE)
LOST = re.compile(r"\bNodes? (\S+) (?:unexpectedly rebooted|not responding, setting DOWN)", re.IGNORECASE)
RETURNED = re.compile(r"\bnode (\S+) returned to service", re.IGNORECASE)
EVENTS = "reboot request queued|state set to|unexpectedly rebooted|setting DOWN|returned to service"
IN_USE = ("IDLE", "ALLOCATED", "MIXED", "RESUME", "UNDRAIN")
AGAIN = "Make an image with another stamp, and take the nodes to it through Slurm, one after the other."
BEGUN = re.compile(r"(task \d+) begins on (\S+) at (\d+)")


@dataclass(frozen=True)
class Event:
    """A line of the log by which nodes leave or return; `when` in seconds since 1970."""

    when: float
    nodes: tuple[str, ...]
    away: bool
    line: str


@dataclass(frozen=True)
class Task:
    """A task that has begun; `ended` says whether its log has its end, too."""

    name: str
    node: str
    begun: int
    ended: bool


def both(cluster: ClusterView) -> tuple[NodeView, ...]:
    """The nodes of this exercise: c1 and c2."""
    return tuple(cluster.compute[:2])


def stamp_of(cluster: ClusterView, node: NodeView) -> str:
    """The stamp in the image that a node boots."""
    return image_of(cluster, node.name, STAMP).text(STAMP).strip()


def clock(seconds: float) -> str:
    """A time of day for people."""
    return datetime.fromtimestamp(seconds, tz=UTC).strftime("%H:%M:%S UTC")


@check(step="image")
def the_image_has_a_stamp(cluster: ClusterView) -> None:
    """The image that c1 and c2 boot has a stamp, /etc/image-release."""
    for node in both(cluster):
        image = image_of(cluster, node.name, STAMP)
        found = image.files.get(STAMP.lstrip("/"))
        if found is not None and found.tree is not None and not found.same:
            raise not_packed(cluster, node.name, STAMP.lstrip("/"))
        if image.text(STAMP).strip():
            continue
        here = cluster.sms.run(f"test -s {STAMP}").exit_status == 0
        raise failed(
            expected=f"{STAMP} in the image that {node.name} boots",
            actual="there is one on the SMS itself, and none in the image" if here else "there is none",
            hint="An image is packed from its chroot: what is not there, no node gets.",
            node="sms",
            look=f"ls -l ${{CHROOT}}{STAMP}",
            final=True,
        )


@check(step="roll", needs=[the_image_has_a_stamp], settle=90)
def both_run_it(cluster: ClusterView) -> None:
    """c1 and c2 have the stamp of that image."""
    found = {
        node.name: node.run(f"cat {STAMP} 2>/dev/null || echo unstamped").output.strip()
        for node in both(cluster)
    }
    wanted = {node.name: stamp_of(cluster, node) for node in both(cluster)}
    others = {name: text for name, text in found.items() if text != wanted[name]}
    if others:
        raise failed(
            expected="the stamp of the image on c1 and c2",
            actual={name: text.replace("\n", " ") for name, text in others.items()},
            hint="The image has the stamp, but the node has not booted since it was packed.",
            node=next(iter(others)),
            look=f"uptime -s; cat {STAMP}",
        )


@check(step="roll", needs=[both_run_it], settle=10)
def both_booted_it(cluster: ClusterView) -> None:
    """c1 and c2 have booted since the image was packed."""
    early = {}
    for node in both(cluster):
        packed = image_of(cluster, node.name, STAMP).packed
        answer = node.run("echo $(($(date +%s) - $(cut -d. -f1 /proc/uptime)))").output
        booted = int(answer.split()[-1])
        if booted < packed:
            early[node.name] = f"it booted at {clock(booted)}, before the image was packed"
    if early:
        raise failed(
            expected="a boot of c1 and of c2 since the image was packed",
            actual=early,
            hint="A stamp says something only if the image brought it, at a boot.",
            node=next(iter(early)),
            look="uptime -s; cat /proc/sys/kernel/random/boot_id",
            final=True,
        )


@check(step="roll", needs=[both_booted_it], settle=90)
def both_take_jobs(cluster: ClusterView) -> None:
    """c1 and c2 are back in service."""
    known = cluster.sms.fact(slurm.nodes)
    out = {node.name: known[node.name].label for node in both(cluster) if not known[node.name].takes_jobs}
    if out:
        raise failed(
            expected="c1 and c2 in service",
            actual=out,
            hint="Which reason does `sinfo -R` show? `rollout status` has a note for each node.",
            node="sms",
            look="sinfo -R; sinfo -N -O NodeList,StateComplete",
        )


def when_packed(cluster: ClusterView) -> int:
    """When the update began, in seconds since 1970."""
    return max(image_of(cluster, node.name, STAMP).packed for node in both(cluster))


def log_path(cluster: ClusterView) -> str:
    """The log file of the controller, quoted for a shell."""
    return shlex.quote(cluster.sms.fact(slurm.config).get("SlurmctldLogFile", ""))


def events(cluster: ClusterView) -> list[Event]:
    """When c1 and c2 left and returned during the update, in order."""
    names = [node.name for node in both(cluster)]
    packed = when_packed(cluster)
    answer = cluster.sms.run(f"date +%z; grep -aE {shlex.quote(EVENTS)} {log_path(cluster)}")
    lines = answer.output.splitlines()
    zone = datetime.strptime(lines[0].strip(), "%z").utcoffset() or timedelta()
    found: list[Event] = []
    back: set[str] = set()
    for line in lines[1:]:
        event = parsed(cluster, line, zone)
        if event is None or event.when < packed or not set(event.nodes) & set(names):
            continue
        found.append(event)
        if not event.away:
            back |= set(event.nodes)
        if back >= set(names):
            break
    return found


def parsed(cluster: ClusterView, line: str, zone: timedelta) -> Event | None:
    """An event of the log; None for every other line."""
    stamped = re.match(r"\[(\d+-\d+-\d+T[\d:.]+)\]", line)
    changed = SET.search(line)
    left = REQUESTED.search(line) or LOST.search(line)
    came = RETURNED.search(line)
    match = left or came or changed
    if stamped is None or match is None:
        return None
    away = bool(left) or (changed is not None and not came and changed[2].upper() not in IN_USE)
    when = (datetime.fromisoformat(stamped[1]).replace(tzinfo=UTC) - zone).timestamp()
    return Event(when, hosts(cluster, match[1]), away, line)


def hosts(cluster: ClusterView, listed: str) -> tuple[str, ...]:
    """The nodes that a hostlist of Slurm's names."""
    if listed.upper() == "ALL":
        return tuple(node.name for node in cluster.compute)
    if listed.isalnum():
        return (listed,)
    return cluster.sms.fact(slurm.hostnames(listed))


@check(step="users", needs=[both_take_jobs])
def one_of_them_always_served(cluster: ClusterView) -> None:
    """During the update, c1 and c2 were never both away."""
    names = {node.name for node in both(cluster)}
    gone: set[str] = set()
    seen: set[str] = set()
    for event in events(cluster):
        told = names & set(event.nodes)
        seen |= told
        gone = gone | told if event.away else gone - told
        if gone == names:
            raise failed(
                expected="at each moment one of c1 and c2 in service",
                actual=f"both away from {clock(event.when)} on: {event.line}",
                hint=f"It stays in the log. {AGAIN}",
                node="sms",
                look=f"sudo grep -aE '{EVENTS}' {log_path(cluster)} | tail",
                final=True,
            )
    if seen != names:
        raise failed(
            expected="a line in the controller's log when each node left and returned",
            actual=f"none about {' and '.join(sorted(names - seen))} since the image was packed",
            hint=f"Slurm knew nothing of the update. {AGAIN}",
            node="sms",
            look=f"sudo grep -aE '{EVENTS}' {log_path(cluster)} | tail",
            final=True,
        )


def tasks(text: str, *, running: bool) -> Iterator[Task]:
    """The tasks in a user's log. The last one may still run; every other one must have ended."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    begun = [(place, match) for place, line in enumerate(lines) if (match := BEGUN.fullmatch(line))]
    for number, (place, match) in enumerate(begun):
        last = number == len(begun) - 1
        until = len(lines) if last else begun[number + 1][0]
        ended = f"{match[1]} ends" in lines[place:until]
        yield Task(match[1], match[2], int(match[3]), ended or (last and running))


def returns(cluster: ClusterView) -> dict[str, float]:
    """When each node returned first during the update."""
    back: dict[str, float] = {}
    for event in events(cluster):
        for node in event.nodes:
            if not event.away:
                back.setdefault(node, event.when)
    return back


def of_user(cluster: ClusterView, user: str, begin: int, back: Mapping[str, float]) -> list[Task]:
    """The tasks of a user that began during the update of their node, or just before it."""
    log = shlex.quote(f"/home/{user}/{TASKS}")
    answer = cluster.sms.run(f"squeue -h -u {user} -t R,CG -o %u | head -n 1; cat {log}").output
    found = tasks(answer, running=answer.startswith(user))
    return [task for task in found if begin - SECONDS <= task.begun <= back.get(task.node, begin)]


@check(step="users", needs=[both_take_jobs], settle=15)
def no_task_was_lost(cluster: ClusterView) -> None:
    """The users' jobs ran during the update, and each task that they began has also ended."""
    look = f"sudo cat /home/user1/{TASKS} /home/user2/{TASKS}"
    lost: list[str] = []
    begin, back = when_packed(cluster), returns(cluster)
    for user in USERS:
        found = of_user(cluster, user, begin, back)
        if not found:
            raise failed(
                expected=f"tasks of {user} that began during the update",
                actual=f"none in /home/{user}/{TASKS}",
                hint="The jobs came with the exercise. `lab reset rolling_update` brings them back.",
                node="sms",
                look=look,
            )
        lost += [
            f"{task.name} of {user} began on {task.node} at {clock(task.begun)} and never ended"
            for task in found
            if not task.ended
        ]
    if lost:
        raise failed(
            expected="for each `task N begins` a `task N ends`",
            actual="; ".join(lost),
            hint=f"Slurm waits for jobs before it reboots a node; other ways do not. {AGAIN}",
            node="sms",
            look=look,
        )
