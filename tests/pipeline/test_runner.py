"""A runner in a real lab: a push becomes a signed release on the SMS, or says which control failed.

Needs a container engine and the image `runner`, and about five minutes; `--quick` pushes once.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator

import pytest

from tests.integration.conftest import Lab, wait_until

pytestmark = pytest.mark.engine

NO_OTHERS = [
    word for group in ("login", "c", "g", "client", "outside") for word in ("--set", f"{group}.count=0")
]
IDENTITY = "-c user.name=Ada -c user.email=ada@localhost"
LONGEST = 600
"""Seconds of a pipeline that installs its tree."""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A lab of an SMS and a runner."""
    found = Lab(f"pipe{os.getpid() % 100000}")
    try:
        found.command("up", *NO_OTHERS, "--set", "runner.count=1")
        wait_until(
            lambda: "ok" in found.on("runner", "cat /run/runner/ready", check=False), 60, "keys are there"
        )
        found.on("sms", "git clone -q git@runner:compute.git", user="user1")
        yield found
    finally:
        found.command("down", "-y")


def push(lab: Lab, change: str, ref: str = "main") -> str:
    """Commits what a shell command changes, pushes it, and returns what the pusher sees."""
    commit = f"cd compute && {change} && git add -A && git {IDENTITY} commit -q --allow-empty -m 'A change'"
    return lab.on("sms", f"{commit} && git push -q origin HEAD:{ref} 2>&1", user="user1", timeout=LONGEST)


def releases(lab: Lab) -> str:
    return lab.on("sms", "nodeimage list compute 2>&1", check=False)


def head(lab: Lab) -> str:
    return lab.on("sms", "git -C compute rev-parse HEAD", user="user1").strip()


@pytest.mark.quick
def test_a_push_becomes_a_signed_release_on_the_sms(lab: Lab) -> None:
    seen = push(lab, "true")
    release = head(lab)[:12]
    assert re.search(rf"remote: pipeline 1 of compute: main {release}, http://runner/1/", seen), seen
    assert "remote: pipeline 1 passed after" in seen, seen
    assert f"the SMS has compute {release}, as runner signed it" in seen
    assert "as runner signed it" in lab.on("sms", f"nodeimage verify compute {release}")
    page = lab.on("sms", "curl -sf http://runner/1/")
    assert "testinfra.xml" in page
    assert lab.on("sms", "curl -sf http://runner/1/artefacts/test-tree/artefacts/testinfra.xml").startswith(
        "<?xml"
    )
    assert lab.on("runner", "cat /etc/image-release 2>&1", check=False).startswith(
        "cat:"
    )  # the stamp is not here


def test_the_same_commit_on_a_second_branch_has_the_same_release(lab: Lab) -> None:
    before = releases(lab)
    seen = lab.on("sms", "cd compute && git push -q origin HEAD:second 2>&1", user="user1", timeout=LONGEST)
    assert "passed after" in seen, seen
    assert f"compute {head(lab)[:12]} is published already: it was built from main" in seen, seen
    assert releases(lab) == before


def test_a_failed_control_names_itself_and_there_is_no_image(lab: Lab) -> None:
    before = releases(lab)
    seen = push(lab, "sed -i s/prohibit-password/yes/ compute/playbook.yml", "broken")
    lab.on("sms", "git -C compute reset -q --hard HEAD~1", user="user1")
    assert "test_root_needs_a_key" in seen
    assert re.search(r"remote: pipeline \d+ failed in test-tree after", seen), seen
    assert releases(lab) == before


def test_a_tag_is_activated_on_the_sms(lab: Lab) -> None:
    seen = lab.on(
        "sms", "cd compute && git tag v1 && git push -q origin v1 2>&1", user="user1", timeout=LONGEST
    )
    assert "compute v1 is active" in seen, seen
    assert lab.on("sms", "readlink -f /srv/nodeimage/compute/current").strip().endswith("/v1")
    assert head(lab)[:12] in lab.on("sms", "nodeimage show compute --json")


def test_the_container_is_started_by_its_socket_and_stops_when_idle(lab: Lab) -> None:
    assert lab.on("runner", "runner container compute").startswith("ssh compute starts")
    state = "systemctl is-active node@compute.service"
    assert lab.on("runner", state, check=False).strip() == "inactive"
    assert lab.on("runner", "ssh compute systemctl is-system-running --wait").strip() == "running"
    assert lab.on("runner", state).strip() == "active"
    assert lab.on("runner", "ssh compute 'touch /written; ls /written'").strip() == "/written"
    wait_until(lambda: lab.on("runner", state, check=False).strip() == "inactive", 60, "it stops when idle")
    assert lab.on("runner", "ssh compute ls /written 2>&1", check=False).startswith(
        "ls:"
    )  # the tree is as it was
    lab.on("runner", "runner container compute --stop")


def test_the_runners_key_opens_one_program_on_the_sms(lab: Lab) -> None:
    words = "ssh -F none -i /etc/runner/delivery_key -o BatchMode=yes root@sms"
    assert "this key can only ask for" in lab.on("runner", f"{words} id 2>&1", check=False)
    assert "this key can only ask for" in lab.on("runner", f"{words} -t 2>&1 </dev/null", check=False)


def test_only_the_runner_gets_its_keys(lab: Lab) -> None:
    """Not the SMS itself, which is another address, and not a user, whose port is not below 1024."""
    asked = "curl -so /dev/null -w '%{http_code}'"
    assert lab.on("sms", f"{asked} --local-port 300 http://sms/WW/runner") == "403"
    assert lab.on("runner", "ls -l /etc/runner/delivery_key").startswith("-rw-------")


def test_a_second_push_waits_and_says_so(lab: Lab) -> None:
    slow = ["docker", "exec", f"rackling-{lab.name}-runner", "/chassis/enter", "root", "sh", "-c",
            "exec 9>>/run/runner/lock; flock 9; echo held; sleep 3"]  # fmt: skip
    with subprocess.Popen(slow, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        seen = push(lab, "git rm -q .gitlab-ci.yml", "no-pipeline")
    assert "remote: another pipeline runs" in seen
    assert "has no .gitlab-ci.yml, so nothing is done" in seen
