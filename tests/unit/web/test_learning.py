"""What the page shows of the course and of the lab, and what it has done, on the fake backend."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lab.backends.fake import FakeBackend
from lab.model import NodeStatus, Power
from lab.polling import Limit, wait_for
from lab.web.server import Page
from tests.unit.checks_world import LOGIN_MAC
from tests.unit.web.conftest import Browser


def start(browser: Browser, running: FakeBackend) -> None:
    running.found["lab"].snapshots["handout"] = {}
    assert browser.do("start", "make_file")["state"] == "done"


def status(browser: Browser, wanted: str = "") -> Any:
    """The lab's state, as soon as a node is in one, or another word is told."""
    return next(event for event in browser.events("status") if wanted in json.dumps(event))


def test_a_learner_goes_through_an_exercise(browser: Browser, running: FakeBackend, nodes: Path) -> None:
    assert browser.ask("GET", "/api/course").json["current"] is None
    answer = browser.ask("POST", "/api/do", {"action": "check", "name": ""})
    assert (answer.status, answer.json["error"]["hint"]) == (400, "choose one from the list")
    start(browser, running)
    current = browser.ask("GET", "/api/course").json["current"]
    assert current["blocks"][3] == {"kind": "code", "where": "sms", "output": False, "text": "touch it"}
    assert current["blocks"][4]["parts"] == [["text", "Then "], ["code", LOGIN_MAC], ["text", "."]]
    assert [(step["id"], step["held"]) for step in current["steps"]] == [("make", False), ("fill", False)]
    failed = browser.do("check")
    assert failed["told"] == "0 of 2 checks hold"
    assert failed["judgement"]["steps"][0]["checks"][0]["outcome"] == "failed"
    (nodes / "one").write_text(LOGIN_MAC)
    done = browser.do("check")
    assert done["told"].startswith("Solved")
    assert done["judgement"]["solved"] is True
    assert all(step["held"] for step in browser.ask("GET", "/api/course").json["current"]["steps"])
    assert browser.do("next")["told"] == "Title of make_more starts from the present state"
    assert browser.ask("GET", "/api/course").json["current"]["name"] == "make_more"
    assert browser.do("next")["state"] == "done"


def test_progress_is_that_of_the_command_line(browser: Browser, running: FakeBackend, tmp_path: Path) -> None:
    start(browser, running)
    browser.do("check")
    record = json.loads((tmp_path / "data" / "progress.json").read_text())["labs"]["lab"]
    assert record["current"] == "make_file"
    assert record["exercises"]["make_file"]["checks_run"] == 1


def test_hints_come_one_by_one(browser: Browser, running: FakeBackend) -> None:
    start(browser, running)
    for shown in (1, 2, 2):
        step = browser.ask("POST", "/api/hint", {"step": "make"}).json["current"]["steps"][0]
        assert (len(step["hints"]), step["hints_in_all"]) == (shown, 2)
    assert step["hints"][1] == [{"kind": "paragraph", "parts": [["text", "Answer: touch."]]}]
    assert browser.ask("POST", "/api/hint", {"step": "x"}).status == 400


def test_one_thing_at_a_time(browser: Browser, running: FakeBackend) -> None:
    with running.locks.hold("lab", "another command", print):
        failed = browser.do("power-off", "c1")
    assert failed["error"]["message"] == "another command is changing lab lab"
    assert running.found["lab"].power["c1"] is Power.ON
    answer = browser.ask("POST", "/api/do", {"action": "power-off", "name": "c1"})
    assert (answer.status, answer.json["error"]["message"].startswith("the lab is busy")) == (409, True)


def test_what_is_lost_is_asked_before(browser: Browser, running: FakeBackend) -> None:
    running.found["lab"].snapshots["handout"] = {}
    ask = {"action": "start", "name": "make_file"}
    told = browser.ask("POST", "/api/question", ask).json["question"]
    assert told == (
        "All changes on sms, login, c1, c2 will be lost and open shells there will end; progress and "
        "transcripts are kept. To start make_file: restore the snapshot handout."
    )
    refused = browser.ask("POST", "/api/question", {"action": "start", "name": "nothing"})
    assert refused.status == 400
    running.missing = frozenset({"kernel-version"})
    refused = browser.ask("POST", "/api/do", {"action": "start", "name": "needs_kernel"})
    assert "needs kernel-version" in refused.json["error"]["message"]


def test_power_of_a_node(browser: Browser, running: FakeBackend) -> None:
    assert browser.do("power-off", "c1")["told"] == "c1: power off"
    assert [n["power"] for n in status(browser, '"off"')["nodes"]] == ["on", "on", "off", "on"]
    assert browser.do("power-on", "c1")["told"] == "c1: power on"
    assert browser.do("reset-node", "c2")["told"] == "c2 is ready again"


def test_the_rack_hears_of_slurm(browser: Browser, running: FakeBackend) -> None:
    running.tell_slurm("lab", "c1", "IDLE+DRAIN", "fan <b>\x1b[2J")
    one = (
        "7",
        "user1",
        "RUNNING",
        "normal",
        "1700000000",
        "1700000010",
        "1700003610",
        "c[1-2]",
        "a|b\x1b[2J",
    )
    other = ("8", "user2", "PENDING", "normal", "1700000001", "N/A", "N/A", "", "later")
    running.answer("lab", "sms", "queue", "".join("\t".join(job) + "\n" for job in (one, other)))
    found = status(browser, "later")
    node = found["nodes"][2]
    assert (node["state"], node["slurm"], node["reason"]) == ("set by operator", "idle+drain", "fan <b>")
    shown = [(job["id"], job["name"], job["state"], job["nodes"], job["started"]) for job in found["jobs"]]
    assert shown == [
        ("7", "a|b", "running", ["c1", "c2"], 1700000010),
        ("8", "later", "pending", [], None),
    ]
    running.answer("lab", "sms", "queue", "")
    assert [job["id"] for job in status(browser, "later")["jobs"]] == ["7", "8"], "the page remembers"


def test_a_lab_that_is_away_is_told_and_comes_back(browser: Browser, running: FakeBackend) -> None:
    assert status(browser)["away"] is None
    kept = running.found.pop("lab")
    away = status(browser, "there is no lab")["away"]
    assert away["hint"] == "lab up -l lab creates it"
    assert browser.ask("GET", "/api/course").json["error"]["message"] == "there is no lab called lab"
    running.found["lab"] = kept
    assert status(browser, '"away": null')["nodes"]


def test_nobody_looks_at_a_lab_whose_page_nobody_has_open(
    page: Page, running: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []
    plain = running.status

    def counted(lab: str) -> tuple[NodeStatus, ...]:
        looks.append(lab)
        return plain(lab)

    monkeypatch.setattr(running, "status", counted)
    assert not wait_for(lambda: looks, Limit(0.3))
    assert status(Browser(page).sign_in())["nodes"]
    assert looks
