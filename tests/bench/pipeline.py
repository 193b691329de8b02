"""The image pipeline: packing on a head node, a push on a runner, a wave of nodes under a job."""

from __future__ import annotations

import shlex
import subprocess
import time
from collections.abc import Mapping

from tests.bench.bed import LAB, Bed, BenchError
from tests.bench.figures import Figure, ratio

TREE = "/opt/ohpc/admin/images/debian13"
BASELINE = f"cd {TREE} && find . | cpio --quiet -o -H newc | gzip -6 | cat"
ROLE = """\
name = "bench"
[test]
untested = true
[image]
allow = ["/etc", "/root", "/home", "/opt", "/srv", "/usr", "/var"]
"""
PACK = (
    f"nodeimage pack /root/bench --tree {TREE} -q --kernel /root/bench-kernel "
    "--commit 0123456789ab --ref main --date 1700000000 "
)
WAVE = """
rm -rf /var/lib/rollout
runuser -u user1 -- sbatch -Q -N 2 -w c1,c2 -o /dev/null --wrap 'sleep 600'
until [ "$(squeue -h -u user1 -t R -o %T)" ]; do sleep 0.1; done
systemd-run -q --collect --unit=wave rollout start --image role=bench --nodes c1,c2 --canary 0 \
    --max-unavailable 2 --reboot-current
until rollout status --json 2>/dev/null | grep -q '"requested": 2'; do sleep 0.1; done
begin=$(date +%s%N)
scancel -u user1
until rollout status --json | grep -q '"state": "complete"'; do sleep 0.1; done
echo $(($(date +%s%N) - begin))
"""


def in_turns(bed: Bed, ways: Mapping[str, str]) -> list[tuple[float, ...]]:
    """Seconds of scripts on the SMS, one after the other and again, so that other load affects all alike."""
    values: dict[str, list[float]] = {what: [] for what in ways}
    for _ in range(bed.runs):
        for what, script in ways.items():
            values[what].append(bed.timed_inside("sms", script))
            bed.say(f"{what}: {values[what][-1]:.3f}")
    return [tuple(found) for found in values.values()]


def nodeimage_pack(bed: Bed) -> list[Figure]:
    """`nodeimage pack` of the nodes' own tree against find | cpio | gzip on it."""
    bed.run("up")
    role = f"mkdir -p /root/bench && printf %s {shlex.quote(ROLE)} >/root/bench/image.toml"
    bed.inside("sms", f"{role} && : >/root/bench-kernel && {PACK} --full && {PACK}")
    ways = {
        "`nodeimage pack`, nothing changed": PACK,
        "`nodeimage pack --full`": f"{PACK} --full",
        "`find \\| cpio \\| gzip` on the same tree, in turns": BASELINE,
    }
    promises = (0.3, None, None)
    figures = [
        Figure(what, "s", promise, values)
        for what, promise, values in zip(ways, promises, in_turns(bed, ways), strict=True)
    ]
    return [*figures, ratio("`nodeimage pack --full` over it", 0.2, figures[1], figures[2])]


def rollout_wave(bed: Bed) -> list[Figure]:
    """Two nodes under a job of both: from the job's end until rollout has proven both."""
    bed.run("up")
    reboot = 'RebootProgram="/sbin/shutdown -r now"'
    bed.inside(
        "sms",
        f"grep -q ^RebootProgram= /etc/slurm/slurm.conf || echo '{reboot}' >>/etc/slurm/slurm.conf; "
        f"scontrol reconfigure; echo role=bench >{TREE}/etc/image-release; wwvnfs --chroot {TREE}",
    )

    def once() -> float:
        words = bed.inside("sms", f"timeout 240 sh -c {shlex.quote(WAVE)}").split()
        return int(words[-1]) / 1e9

    values = bed.several("rollout, a wave of two nodes", once)
    bed.inside("sms", f"rm -f {TREE}/etc/image-release; wwvnfs --chroot {TREE}")
    return [Figure("a wave of two nodes by `rollout`, over their job's end", "s", 15, values)]


def runner_push(bed: Bed) -> list[Figure]:
    """A push of a one-line change to a runner, until the SMS has the signed release. Last: adds a runner."""
    subprocess.run([str(LAB), "images", "build", "runner"], stdout=subprocess.DEVNULL, check=True)
    bed.run("up", "-y", "--set", "runner.count=1")
    bed.inside("runner", "until grep -q ok /run/runner/ready; do sleep 0.2; done")
    bed.inside("sms", "rm -rf compute; git clone -q git@runner:compute.git", user="user1")
    _push(bed)  # installs the tree

    def once() -> float:
        start = time.monotonic()
        _push(bed)
        return time.monotonic() - start

    values = bed.several("a push", once)
    return [Figure("`git push` of a one-line change, until the SMS has its signed release", "s", 60, values)]


def _push(bed: Bed) -> None:
    line = f's/"A compute node[^ ]*/"A compute node,{time.time_ns()}/'
    said = bed.inside(
        "sms",
        f"cd compute && sed -i {shlex.quote(line)} compute/playbook.yml && "
        "git -c user.name=Ada -c user.email=ada@localhost commit -qam 'Another line' && "
        "git push -q origin HEAD:main 2>&1",
        user="user1",
    )
    if "the SMS has compute" not in said or "passed after" not in said:
        raise BenchError(f"the pipeline did not pass:\n{said[-1500:]}")
