"""A gate: what becomes of a push whose test fails and of one that is good, and where the stamp is.

A push of the check's own shows it, in a trial of which nothing lasts. Repository and releases lie on the
SMS's disk, so no boot and no restart takes back what was done: no wrong way holds only until then.
"""

from __future__ import annotations

from dataclasses import dataclass

from lab.checks import MARK, NO_ROOM, ClusterView, check, failed, trial, trial_parts
from lab.facts.fact import Fact, FactError

REPOSITORY = "/srv/git/burnin.git"
RELEASES = "/srv/images/burnin"
UNTESTED = "refs/lesson/untested"
STAMP = "/etc/image-release"
SECONDS = 150.0
# The failing test comes first: a pipeline that asks for the last one's status only has an open gate, too.
PUSHES = f"""\
export HOME=/tmp
git config --global safe.directory "*"
git config --global user.name check
git config --global user.email check@sms
rm -f {STAMP}
push() {{
    git add --all && git commit -q --allow-empty -m "$1"
    commit=$(git rev-parse HEAD)
    echo "{MARK} $1-commit"; echo $commit
    echo "{MARK} $1-said"; git push -q origin HEAD:main </dev/null 2>&1 | tail -n 6
    image={RELEASES}/$(echo $commit | cut -c 1-12)/image.gz
    echo "{MARK} $1-image"; ls $image 2>/dev/null
    echo "{MARK} $1-stamp"
    gzip -dc $image 2>/dev/null | cpio -i --quiet --to-stdout {STAMP[1:]} .{STAMP} 2>/dev/null
    echo "{MARK} $1-here"; cat {STAMP} 2>/dev/null
}}
echo "{MARK} clone"
git clone -q -b main {REPOSITORY} /tmp/clone 2>&1 && cd /tmp/clone || exit 1
push good
echo "exit 1" >tests/00_check.sh
push bad
"""


@dataclass(frozen=True)
class Push:
    """A push to the repository: its commit, what the pusher read, and what there was afterwards."""

    commit: str
    said: str
    released: bool
    stamp: str  # in the image
    here: str  # on the SMS


def _pushes(status: int, output: str) -> dict[str, Push]:
    found = {
        name: [line.removeprefix("remote: ").strip() for line in lines]
        for name, lines in trial_parts(output).items()
    }
    if status == NO_ROOM or "clone" not in found:
        raise RuntimeError(f"the trial ended with status {status}: {output[-400:]}")
    if "bad-here" not in found:
        raise FactError(f"no push to {REPOSITORY} is possible", 1, output)
    text = {name: "\n".join(lines).strip() for name, lines in found.items()}
    return {
        name: Push(
            text[f"{name}-commit"],
            "; ".join(found[f"{name}-said"]),
            bool(text[f"{name}-image"]),
            text[f"{name}-stamp"],
            text[f"{name}-here"],
        )
        for name in ("good", "bad")
    }


pushes: Fact[dict[str, Push]] = Fact(trial(PUSHES), _pushes, f"git clone -b main {REPOSITORY}; git push")


def pushed(cluster: ClusterView, name: str) -> Push:
    """A push of the trial; all checks of one run share it."""
    return cluster.sms.fact(pushes, timeout=SECONDS - 10)[name]


@check(step="gate", timeout=SECONDS)
def failing_test_stops_it(cluster: ClusterView) -> None:
    """A commit that has a failing test becomes no release."""
    push = pushed(cluster, "bad")
    if push.released:
        raise failed(
            expected="no image of a commit that adds a failing test to main",
            actual=f"it was released; the push said: {push.said}",
            hint="Only an exit status stops a pipeline. Whose status does the line with the tests have, and "
            "is the image in its place before anybody asks for it?",
            node="sms",
            look=f"git -C {REPOSITORY} show main:pipeline.sh",
        )


@check(step="gate", needs=[failing_test_stops_it], timeout=SECONDS)
def passing_commit_is_released(cluster: ClusterView) -> None:
    """A commit whose tests pass becomes a release."""
    push = pushed(cluster, "good")
    if not push.released:
        raise failed(
            expected=f"an image of a good commit in {RELEASES}",
            actual=f"there is none; the push said: {push.said}",
            hint="A gate that lets nothing pass is a wall. Do all tests of main pass? At which line does "
            "pipeline.sh end?",
            node="sms",
            look=f"git -C {REPOSITORY} show main:pipeline.sh; git -C {REPOSITORY} ls-tree main:tests",
        )


@check(step="withdraw")
def what_got_through_is_gone(cluster: ClusterView) -> None:
    """No release is left of a commit whose test has failed."""
    git = f"git -C {REPOSITORY} -c safe.directory=*"
    commit, _, subject = cluster.sms.run(f"{git} log -1 --format='%H %s' {UNTESTED}").output.partition(" ")
    bad = f"{RELEASES}/{commit[:12]}"
    found = cluster.sms.run(
        f"ls -d {bad} 2>/dev/null; grep -ls FAILED {RELEASES}/*/results.txt | xargs -r dirname"
    )
    left = sorted({place for place in found.output.split() if place.startswith(RELEASES)})
    if left:
        raise failed(
            expected="no release whose test has failed",
            actual=[f"{place} ({subject.strip()})" if place == bad else place for place in left],
            hint="What was released while the gate was open is still there, and nodes can boot it.",
            node="sms",
            look=f"grep FAILED {RELEASES}/*/results.txt",
        )


@check(step="stamp", needs=[passing_commit_is_released], timeout=SECONDS)
def image_names_its_commit(cluster: ClusterView) -> None:
    """The image of a release has a stamp, /etc/image-release, with the commit that it was built from."""
    push = pushed(cluster, "good")
    if push.commit[:12] not in push.stamp:
        what = f"the stamp of another commit: {push.stamp}" if push.stamp else "no stamp"
        raise failed(
            expected=f"a stamp with the commit in the image of the commit {push.commit[:12]}",
            actual=f"{what}; the push said: {push.said}",
            hint="Which file does a path mean that begins with a slash, in whatever folder the shell is?",
            node="sms",
            look=f"cd $(ls -dt {RELEASES}/* | head -1); gzip -dc image.gz | cpio -i --to-stdout {STAMP[1:]}",
        )


@check(step="stamp", timeout=SECONDS)
def sms_has_no_stamp(cluster: ClusterView) -> None:
    """The SMS itself has no stamp, also after a push."""
    now = cluster.sms.run(f"cat {STAMP}")
    after = "" if now.exit_status == 0 else pushed(cluster, "good").here
    if now.exit_status == 0 or after:
        raise failed(
            expected=f"no {STAMP} on the SMS",
            actual=f"after a push: {after}" if after else f"there is one: {now.output.strip()}",
            hint="The SMS was not made from this repository. Who believes what this file says?",
            node="sms",
            look=f"ls -l {STAMP}; git -C {REPOSITORY} show main:pipeline.sh | grep image-release",
        )
