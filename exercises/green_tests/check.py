"""PIPELINE: the tests of the branch `hardening` pass as they were committed, and its release is on the SMS.

No wrong way holds only until the next boot: commits, records of pipelines and a signed release are judged.
"""

from __future__ import annotations

import json
from typing import Any

from lab.checks import ClusterView, NodeView, check, failed

BRANCH = "refs/heads/hardening"
GIT = "git -C /srv/git/compute.git"
RESULTS = "cat /var/lib/runner/results/[0-9]*/result.json 2>/dev/null"
AGREED = "compute/tests compute/goss.yaml compute/boot .gitlab-ci.yml"


def runner(cluster: ClusterView) -> NodeView:
    """The runner."""
    return cluster.only("runner")


def pipelines(cluster: ClusterView) -> list[dict[str, Any]]:
    """The records of the branch's pipelines, oldest first."""
    text, found, place = runner(cluster).run(RESULTS).output, [], 0
    reader = json.JSONDecoder()
    while (place := text.find("{", place)) >= 0:
        record, place = reader.raw_decode(text, place)
        found.append(record)
    return sorted((one for one in found if one["ref"] == "hardening"), key=lambda one: int(one["number"]))


def tip(cluster: ClusterView) -> str:
    """The commit of the branch."""
    return runner(cluster).run(f"{GIT} rev-parse {BRANCH}").output.strip()


@check(step="red")
def tests_were_seen_to_fail(cluster: ClusterView) -> None:
    """A pipeline of the branch hardening has failed at its tests."""
    found = pipelines(cluster)
    if not any("test-tree" in one["failed"] for one in found):
        raise failed(
            expected="a pipeline of hardening in which test-tree failed",
            actual=", ".join(one["outcome"] for one in found) or "no pipeline of this branch",
            hint="A push runs a pipeline; also a commit that changes nothing can be pushed.",
            node="sms",
            look="curl -s http://runner/",
        )


@check(step="green")
def pipeline_is_green(cluster: ClusterView) -> None:
    """The pipeline of the last commit of hardening has passed."""
    found, commit = pipelines(cluster), tip(cluster)
    of_tip = [one for one in found if one["commit"] == commit]
    if not of_tip or of_tip[-1]["outcome"] != "passed":
        told = f"{of_tip[-1]['outcome']}: {', '.join(of_tip[-1]['failed'])}" if of_tip else "none"
        raise failed(
            expected=f"a pipeline of {commit[:12]} that passed",
            actual=told,
            hint="What a push printed last names the job; above it, the job names the control or the task.",
            node="sms",
            look="curl -s http://runner/",
        )


@check(step="green", needs=[pipeline_is_green])
def tests_are_those_that_were_agreed(cluster: ClusterView) -> None:
    """The tests and the pipeline are as they were committed."""
    changed = (
        runner(cluster).run(f"{GIT} diff --name-only refs/lesson/start {BRANCH} -- {AGREED}").output.split()
    )
    if changed:
        raise failed(
            expected="no change in the tests",
            actual=", ".join(changed),
            hint="A test says what was agreed. Which file makes the node so?",
            node="sms",
            look=f"cd compute; git log --stat origin/main.. -- {AGREED}",
        )


@check(step="green", needs=[pipeline_is_green])
def release_is_on_the_sms(cluster: ClusterView) -> None:
    """The SMS has a signed release of this commit."""
    release = tip(cluster)[:12]
    answer = cluster.sms.run(f"nodeimage verify compute {release}", timeout=30)
    if answer.exit_status:
        raise failed(
            expected=f"a release {release} that is as the runner signed it",
            actual=answer.output,
            hint="The job pack-image hands the release to the SMS.",
            node="sms",
            look="nodeimage list compute",
        )
