"""The page on a real lab: a learner solves the first exercise in it, and the rack shows what happens."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from lab.paths import PACKAGE
from tests.web.browser import CACHE, Reader, chromium

ROOT = PACKAGE.parent
NAME = "web"
EXERCISE = "login_node"
MINUTES = 300.0  # seconds that a boot may take on a busy host
PICTURE = ROOT / "docs" / "web.png"

pytestmark = pytest.mark.engine


def learner() -> dict[str, str]:
    """The surroundings of somebody who has not begun the course; nobody's own progress is changed."""
    return {**os.environ, "XDG_DATA_HOME": str(CACHE / "data")}


def lab(*words: str) -> list[str]:
    return [sys.executable, "-m", "lab.cli.main", "-l", NAME, *words]


def run(*words: str) -> str:
    done = subprocess.run(lab(*words), cwd=ROOT, capture_output=True, text=True, check=False, env=learner())
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The address of the page of a lab that is at the start of the first exercise."""
    shutil.rmtree(CACHE / "data", ignore_errors=True)
    run("up")
    try:
        run("start", EXERCISE, "-y")
        subprocess.run([*lab("web", "--fetch")], cwd=ROOT, check=True)
        with subprocess.Popen(
            lab("web", "--json"), cwd=ROOT, text=True, stdout=subprocess.PIPE, env=learner()
        ) as served:
            assert served.stdout
            told = ""
            while "}" not in told:
                line = served.stdout.readline()
                assert line, "lab web has ended"
                told += line
            try:
                yield json.loads(told)["address"]
            finally:
                served.send_signal(signal.SIGINT)
                assert served.wait(60) == 130
        left = subprocess.run(
            lab("shell", "sms", "-u", "root", "--", "pgrep", "-u", "user1", "-x", "bash"),
            cwd=ROOT,
            check=False,
        )
        assert left.returncode == 1, "a shell of the page is left in the node"
    finally:
        if not os.environ.get("LAB_KEEP"):
            run("down", "-y")


def typed(reader: Reader, begins: str) -> str:
    """A command of the exercise's text, as its button copies it."""
    texts = reader.every(".command pre")
    (found,) = (line for text in texts for line in text.splitlines() if line.startswith(begins))
    return found


def test_a_learner_solves_the_first_exercise_in_the_page(address: str) -> None:
    with chromium(1500, 1500) as driver:
        driver.get(address)
        reader = Reader(driver)
        reader.see("Provision a login node", "#exercise-title")
        reader.until(lambda: reader.unit("c1").get_attribute("data-state") == "ready", "c1 is ready")
        solve(reader)
        reload_keeps_the_shell(reader)
        a_job_is_seen(reader)
        power_is_seen(reader, driver)
        assert reader.serious() == []
        assert reader.log() == []


def solve(reader: Reader) -> None:
    """Types what the text says, and has it checked."""
    reader.press("#terminal-form button")
    reader.see_on_screen("user1@", MINUTES)
    reader.press("[data-key=check]")
    reader.see("checks hold", "#task", MINUTES)
    reader.press("[data-key=hint-register]")
    reader.see("Warewulf", ".steps details")
    reader.type(f"KEPT=still; {typed(reader, 'sudo wwsh -y node new login')}; echo regis''tered")
    reader.see_on_screen("registered")  # sudo forgets what was typed ahead of it
    reader.type(typed(reader, "sudo wwsh -y provision set login"))
    reader.until(lambda: booted(reader, "login"), "login has booted", MINUTES)
    reader.press("[data-key=check]")
    reader.see("Solved", "#task", MINUTES)
    reader.until(lambda: set(reader.every(".steps .tick", "aria-label")) == {"done"}, "a tick at each step")


def booted(reader: Reader, node: str) -> bool:
    unit = reader.unit(node)
    return unit.get_attribute("data-state") == "ready" and "pxe" not in unit.text


def reload_keeps_the_shell(reader: Reader) -> None:
    reader.driver.refresh()
    reader.see_on_screen("login")
    reader.type("echo $KEPT here")
    reader.see_on_screen("still here")


def a_job_is_seen(reader: Reader) -> None:
    reader.type("sbatch -J picture --wrap 'sleep 40' -w c1")
    reader.until(lambda: "picture of user1" in reader.unit("c1").text, "the job on c1", MINUTES)
    reader.see("picture", "#jobs-table")
    assert reader.all("#timeline .bar")


def power_is_seen(reader: Reader, driver: Chrome) -> None:
    """Powers a node off by its controls; the picture for the documents is taken then."""
    reader.press("[data-node=c2] .face")
    reader.press("[aria-label='Power off: c2']")
    reader.press("#ask button[value=yes]")
    reader.until(lambda: reader.unit("c2").get_attribute("data-power") == "off", "c2 is off", MINUTES)
    reader.see("c2: power off", "#task", MINUTES)
    driver.execute_script("window.scrollTo(0, 0); document.activeElement.blur()")
    reader.picture(PICTURE)
    reader.press("[aria-label='Power on: c2']")
    reader.until(lambda: reader.unit("c2").get_attribute("data-state") == "ready", "c2 is ready", MINUTES)
    reader.press("[aria-label='Console: c2']")
    reader.until(lambda: re.search(r"\w+ \w+", reader.screen()), "the console of c2")
    reader.press("[aria-label='Terminal: c2']")
    reader.see("root@c2", "[role=tab][aria-selected=true]")
    reader.type("hostname; id -un")
    reader.see_on_screen("root")
    assert driver.find_elements(By.CSS_SELECTOR, "[role=tab]")
