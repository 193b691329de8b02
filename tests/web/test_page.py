"""The page in a real browser, on a lab whose nodes are shells of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from selenium.webdriver import ActionChains, Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from lab.backends.fake import FakeBackend
from lab.model import Power
from lab.web.server import Page
from tests.unit.checks_world import LOGIN_MAC
from tests.web.browser import Reader, chromium

pytestmark = pytest.mark.quick


def begin(reader: Reader) -> None:
    """Starts the first exercise as a learner does: in the present state nothing is lost that is missed."""
    reader.press("[data-key=start]")
    reader.press("#ask button[value=yes]")
    reader.see("the lab is at its start")


def test_a_learner_goes_through_an_exercise(
    reader: Reader, running: FakeBackend, nodes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running.found["lab"].snapshots["handout"] = {}
    begin(reader)
    reader.see("Title of make_file", "#exercise-title")
    assert reader.text("figcaption").startswith("on sms")
    reader.press("#terminal-form button")
    reader.type("echo $((6*7)) as $WHO")
    reader.see_on_screen("42 as user1")
    reader.press("[data-key=check]")
    reader.see("0 of 2 checks hold", "#task")
    reader.see("expected", ".findings")
    reader.press("[data-key=hint-make]")
    reader.see("Nudge.", ".steps")
    reader.type(f"touch {nodes / 'one'}")
    reader.press("[data-key=check]")
    reader.see("1 of 2 checks hold", "#task")
    held = ["done", "not done yet"]
    reader.until(lambda: reader.every(".steps .tick", "aria-label") == held, "a tick at the first step")
    reader.type(f"KEPT=still; echo {LOGIN_MAC} >{nodes / 'one'}")
    reader.press("[data-key=check]")
    reader.see("Solved", "#task")
    reader.driver.refresh()
    reader.see_on_screen("42 as user1")
    reader.type("echo $KEPT here")
    reader.see_on_screen("still here")
    assert reader.log() == []


def test_the_rack_shows_what_happens_to_a_node(reader: Reader, running: FakeBackend) -> None:
    reader.until(lambda: reader.unit("c1").get_attribute("data-state") == "ready", "c1 is ready")
    running.found["lab"].power["c1"] = Power.OFF
    reader.until(lambda: reader.unit("c1").get_attribute("data-power") == "off", "c1 is off")
    assert "power off" in reader.unit("c1").text
    reader.press("[data-node=c1] .face")
    reader.press("[aria-label='Power on: c1']")
    reader.see("c1: power on", "#task")
    reader.until(lambda: reader.unit("c1").get_attribute("data-state") == "ready", "c1 is ready again")
    running.found["lab"].console["c1"] = b"\x1b[31mkernel\x1b[0m booted\n\x1b]0;FORGED\x07<b>bold</b>\n"
    reader.press("[aria-label='Console: c1']")
    reader.see_on_screen("kernel booted <b>bold</b>")
    assert "FORGED" not in reader.driver.title


def test_text_of_nodes_and_exercises_never_becomes_markup(reader: Reader, running: FakeBackend) -> None:
    hostile = "<script>alert(2)</script><img><b>bold</b>"
    running.tell_slurm("lab", "c1", "DOWN", hostile)
    reader.until(lambda: hostile in reader.unit("c1").text, "the reason as it is")
    assert reader.all("#rack img, #rack script") == []
    assert reader.log() == []


def test_the_keyboard_reaches_everything_and_leaves_a_terminal(reader: Reader) -> None:
    reader.press("#terminal-form button")
    reader.type("echo se''en")
    reader.see_on_screen("seen")
    ActionChains(reader.driver).key_down(Keys.CONTROL).key_down(Keys.SHIFT).send_keys(Keys.ESCAPE).key_up(
        Keys.SHIFT
    ).key_up(Keys.CONTROL).perform()
    assert reader.driver.switch_to.active_element.get_attribute("role") == "tab"
    reached = set()
    for _ in range(60):
        reader.driver.switch_to.active_element.send_keys(Keys.SHIFT, Keys.TAB)
        reached.add(reader.driver.switch_to.active_element.get_attribute("data-key"))
    assert "start" in reached


def test_a_lab_that_is_away_is_one_sentence(reader: Reader, running: FakeBackend) -> None:
    reader.one("[data-node=c1]")
    del running.found["lab"]
    reader.see("there is no lab called lab. Type: lab up -l lab", "#connection")


@pytest.mark.parametrize(("width", "dark"), [(1400, False), (1400, True), (400, False)])
def test_axe_finds_nothing_serious(page: Page, width: int, dark: bool) -> None:
    with chromium(width, 900, dark=dark) as driver:
        driver.get(page.address())
        reader = Reader(driver)
        reader.press("#terminal-form button")
        reader.see_on_screen("bash")
        reader.press("[data-node=c1] .face")
        assert reader.serious() == []
        driver.execute_script("document.body.append(document.createElement('select'))")
        assert any("select-name" in flaw for flaw in reader.serious()), "axe finds nothing at all"
        code = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert driver.execute_script(code) <= 0, "the page is wider than the window"
        scheme = driver.execute_script("return matchMedia('(prefers-color-scheme: dark)').matches")
        assert scheme is dark


def test_who_is_not_signed_in_is_told_how(page: Page, driver: Chrome) -> None:
    driver.delete_all_cookies()
    driver.get(f"{page.origin}/")
    assert "lab web" in driver.find_element(By.TAG_NAME, "main").text
