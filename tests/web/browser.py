"""Debian's chromium, driven by selenium: what a person sees and does, and what axe-core says of a page."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from selenium.common.exceptions import StaleElementReferenceException, WebDriverException
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from lab.paths import PACKAGE
from lab.web.browser_parts import Package, download, unpack

T = TypeVar("T")
CACHE = PACKAGE.parent / ".nox" / "web"
AXE = Package(
    "axe-core",
    "4.14.1",
    "sha512-FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
)
AXE_FILE = "package/axe.min.js"
SERIOUS = ("serious", "critical")
SECONDS = 30.0


def axe_script() -> str:
    """The text of axe-core, fetched once by version and hash."""
    place = CACHE / f"axe-{AXE.version}.js"
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(unpack(download(AXE), (AXE_FILE,))[AXE_FILE])
    return place.read_text(encoding="utf-8")


@contextmanager
def chromium(width: int = 1400, height: int = 1100, *, dark: bool = False) -> Iterator[Chrome]:
    """A browser of its own, without a profile."""
    options = ChromeOptions()
    options.binary_location = shutil.which("chromium") or "/usr/bin/chromium"
    flags = ["--headless=new", "--disable-dev-shm-usage", "--no-first-run", f"--window-size={width},{height}"]
    flags += ["--no-sandbox"] if os.geteuid() == 0 else []
    flags += ["--force-dark-mode", "--blink-settings=preferredColorScheme=0"] if dark else []
    for flag in flags:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options, Service(shutil.which("chromedriver") or "/usr/bin/chromedriver"))
    try:
        yield driver
    finally:
        driver.quit()


class Reader:
    """A person at the page."""

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver

    def until(self, what: Callable[[], T], awaited: str, seconds: float = SECONDS) -> T:
        """Looks until there is something; the page's text is the evidence when time is up."""
        end = time.monotonic() + seconds
        while True:
            try:
                if found := what():
                    return found
            except (StaleElementReferenceException, WebDriverException) as problem:
                found = problem  # type: ignore[assignment]
            if time.monotonic() > end:
                shown = self.driver.find_element(By.TAG_NAME, "body").text
                raise AssertionError(
                    f"not within {seconds:.0f} s: {awaited} ({found!r})\n{shown}\n{self.log()}"
                )
            time.sleep(0.1)

    def all(self, css: str) -> list[WebElement]:
        """What a selector finds."""
        return self.driver.find_elements(By.CSS_SELECTOR, css)

    def one(self, css: str) -> WebElement:
        """What a selector finds, as soon as it is there."""
        return self.until(lambda: self.all(css), css)[0]

    def text(self, css: str = "body") -> str:
        """The words that are shown."""
        return self.until(lambda: [self.one(css).text], css)[0]

    def every(self, css: str, attribute: str = "") -> list[str]:
        """The text or an attribute of all that a selector finds, in one look: the page may be drawn anew."""
        words = "(one) => one.getAttribute(arguments[1]) ?? one.textContent"
        code = f"return [...document.querySelectorAll(arguments[0])].map({words})"
        return [str(word) for word in self.driver.execute_script(code, css, attribute)]

    def see(self, words: str, css: str = "body", seconds: float = SECONDS) -> None:
        """Waits until words are shown."""
        self.until(lambda: words in self.text(css), f"{words!r} in {css}", seconds)

    def press(self, css: str) -> None:
        """Presses a button, as soon as it may be pressed."""

        def pressed() -> bool:
            button = self.one(css)
            if not button.is_enabled():
                return False
            self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
            button.click()
            return True

        self.until(pressed, f"{css} to be pressed")

    def type(self, text: str) -> None:
        """Types a line into the terminal that is shown."""

        def focused() -> bool:
            field = self.one("[role=tabpanel]:not([hidden]) textarea")
            self.driver.execute_script("arguments[0].focus()", field)
            return bool(self.driver.switch_to.active_element == field)

        self.until(focused, "the terminal to take keys")
        self.driver.switch_to.active_element.send_keys(text, Keys.ENTER)

    def screen(self) -> str:
        """What the terminal that is shown shows."""
        return self.text("[role=tabpanel]:not([hidden]) .xterm-rows")

    def see_on_screen(self, words: str, seconds: float = SECONDS) -> None:
        """Waits until words stand in the terminal; lines may be broken."""
        squeezed = "".join(words.split())
        self.until(lambda: squeezed in "".join(self.screen().split()), f"{words!r} on the screen", seconds)

    def unit(self, node: str) -> WebElement:
        """A node's place in the rack."""
        return self.one(f"[data-node='{node}']")

    def serious(self) -> list[str]:
        """What axe-core calls serious or worse."""
        self.driver.execute_script(axe_script())
        code = "axe.run(document).then(arguments[0], (flaw) => arguments[0]({error: String(flaw)}))"
        found: dict[str, Any] = self.driver.execute_async_script(code)
        assert "error" not in found, found
        assert len(found["passes"]) > 10, "axe looked at nothing"
        return [
            f"{one['id']}: {[node['html'][:200] for node in one['nodes']]}: {one['help']}"
            for one in found["violations"]
            if one["impact"] in SERIOUS
        ]

    def log(self) -> list[str]:
        """What the browser complained of since the last look: errors of scripts, refusals of the policy."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]  # type: ignore[no-untyped-call]

    def picture(self, place: Path) -> None:
        """A picture of the window."""
        place.parent.mkdir(parents=True, exist_ok=True)
        assert self.driver.get_screenshot_as_file(str(place))
