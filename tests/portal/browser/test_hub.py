"""slurm-jupyter as servers of a real JupyterHub: whose token each gets, how quick, and why none starts."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from statistics import median

import pytest

from tests.portal.browser.driver import Browser, Lab
from tests.portal.browser.hub import SLURM, USERS, Hub, server
from tests.portal.browser.scene import play
from tests.portal.page import docker, inside, until
from tests.unit.slurm_token.world import claims

QUIET = ("-D", "/tmp", "-o", "/dev/null")


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    one = Hub(tmp_path_factory.mktemp("hub"), "trixie")
    try:
        one.start()
        yield one
    finally:
        one.close()


@pytest.fixture(autouse=True)
def _stopped(hub: Hub) -> Iterator[None]:
    yield
    for user in USERS:
        hub.stop(user)


def whose(token: str) -> str:
    return str(claims(token)[1]["sun"])


def within(user: str, *words: str) -> str:
    """What a program printed in a user's server, started as that user: root has no rights there."""
    return docker("exec", server(user), *words).stdout.strip()


def tokens(user: str) -> set[str]:
    """Every token that can be found in a user's server, by its own user."""
    places = "/run/slurm-token /run/slurm/jupyter /tmp /proc/self/environ"
    look = f"grep -rhoE 'eyJ[A-Za-z0-9_-]+[.][A-Za-z0-9._-]+' {places}"
    found = docker("exec", server(user), "sh", "-c", look, check=False).stdout.split()
    return {whose(token) for token in found}


def test_each_user_gets_a_server_with_a_token_of_its_own_and_never_anothers(hub: Hub) -> None:
    taken = [hub.spawn(user) for user in USERS]
    for user in USERS:
        hub.stop(user)
    taken += [hub.spawn(user) for user in USERS]
    memory = docker("stats", "--no-stream", "--format", "{{.MemUsage}}", server("user1")).stdout.split()[0]
    print(f"ready after {median(taken):.1f} s, median of {len(taken)}; memory {memory}")
    for number, user in enumerate(USERS, 1001):
        assert tokens(user) == {user}
        until(partial(fresh, user), 30, f"{user}'s token and configuration")
        job = within(user, "/usr/lib/slurm-jupyter/bin/sbatch", "--parsable", *QUIET, "--wrap", "true")
        until(partial(record, job), 30, f"the record of job {job}")
        assert record(job) == user
        assert_hardened(user, number)
    issued = [(line["caller"], line["account"]) for line in hub.audit() if line.get("event") == "issued"]
    assert {*issued} == {(user, user) for user in USERS}


def fresh(user: str) -> bool:
    """Whether the server has all that Slurm's commands need."""
    return "are fresh" in within(user, "/usr/lib/slurm-jupyter/health")


def record(job: str) -> str:
    """Whose job it is, by Slurm's own records."""
    return inside(SLURM, "sacct", "-nXPo", "User", "-j", job)


def assert_hardened(user: str, number: int) -> None:
    text = docker("inspect", server(user)).stdout
    found = json.loads(text)[0]
    assert "eyJ" not in text, "a Slurm token can be seen from outside"
    other = next(one for one in USERS if one != user)
    assert not [one for one in found["HostConfig"]["Binds"] if f"/{other}:" in one]
    host = found["HostConfig"]
    assert (host["ReadonlyRootfs"], host["CapDrop"], host["Memory"]) == (True, ["ALL"], 600 << 20)
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["Privileged"] is False
    assert not host["PortBindings"]
    assert found["Config"]["User"] == f"{number}:{number}"
    status = within(user, "cat", "/proc/1/status")
    assert f"Uid:\t{number}\t{number}\t{number}\t{number}" in status
    assert "CapEff:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status


def test_the_server_gets_its_next_tokens_by_itself(hub: Hub) -> None:
    """It asks slurm-token with its Hub token; a token that Slurm refused is replaced at once."""
    hub.spawn("user1")
    file = "/run/slurm/jupyter/slurm-token"
    until(partial(fresh, "user1"), 30, "its token and configuration")
    before = within("user1", "cat", file)
    within("user1", "touch", "/run/slurm/jupyter/refused")
    after = until(lambda: (now := within("user1", "cat", file)) != before and now, 30, "a new token")
    assert whose(after) == "user1"
    assert after != within("user1", "cat", "/run/slurm-token/token"), "the Hub's hook gave the first one"


def test_without_slurm_token_no_server_starts_and_the_page_says_why(hub: Hub, browser: Browser) -> None:
    hub.stop_slurm_token()
    try:
        sign_in(hub, browser, "user2")
        said = "Your server was not started: slurm-token does not answer (Connection refused)."
        browser.until(lambda: said in browser.text(), "the sentence on the page")
        browser.picture("hub-no-slurm-token")
        lines = [line for line in hub.log().splitlines() if "slurm-token does not answer" in line]
        assert any("Error starting user2's server" in line for line in lines)
        assert 'File "' not in hub.log(), "no traceback of ours"
        assert docker("ps", "-aq", "--filter", f"name={server('user2')}").stdout == ""
    finally:
        hub.start_slurm_token()
    assert hub.spawn("user2") < 60


def sign_in(hub: Hub, browser: Browser, user: str) -> None:
    browser.open(f"{hub.address}/hub/spawn")
    browser.write("#username_input", user)
    browser.write("#password_input", hub.password)
    browser.press("#login_submit")


def test_a_newcomer_signs_in_submits_sees_and_cancels_jobs(
    hub: Hub, browser: Browser, nobody: Callable[[str], None]
) -> None:
    begin = time.monotonic()
    sign_in(hub, browser, "user1")
    browser.until(lambda: "/user/user1/lab" in browser.address, "the user's own server")
    played = play(browser, Lab(browser, "/user/user1"), nobody)
    print(f"from the Hub's page to the end: {time.monotonic() - begin:.1f} s")
    for number, state in ((played.ended, "COMPLETED"), (played.cancelled, "CANCELLED by 1001")):
        assert inside(SLURM, "sacct", "-nXPo", "State", "-j", number) == state
    assert inside(SLURM, "cat", f"/home/user1/hello.{played.ended}") == "slurm"


def test_another_user_cannot_open_the_server(hub: Hub, browser: Browser) -> None:
    hub.spawn("user1")
    sign_in(hub, browser, "user2")
    browser.until(lambda: "/user/user2/lab" in browser.address, "the user's own server")
    browser.open(f"{hub.address}/user/user1/lab")
    browser.until(lambda: "403" in browser.text() or "404" in browser.text(), "it is refused")
    assert not browser.seen(".jp-LauncherCard")
