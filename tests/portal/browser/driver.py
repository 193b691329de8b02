"""A person at a browser: Debian's chromium, and what can be seen and pressed in JupyterLab."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException, WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

SIZE = (1100, 860)
SETTINGS = "jupyterlab-slurm:plugin"
PUT = """
const [path, raw, done] = arguments;
const cookie = document.cookie.split('; ').find(one => one.startsWith('_xsrf='));
fetch(path, {method: 'PUT', body: JSON.stringify({raw}),
             headers: {'Content-Type': 'application/json', 'X-XSRFToken': cookie ? cookie.slice(6) : ''}})
    .then(reply => done(reply.status), error => done(String(error)));
"""
"""Saves a setting as the page's own editor of settings does."""


class Browser:
    """One window. `pictures` is where its pictures go."""

    def __init__(self, profile: Path, pictures: Path) -> None:
        self._pictures = pictures
        options = webdriver.ChromeOptions()
        options.binary_location = str(shutil.which("chromium"))
        words = ["headless=new", f"user-data-dir={profile}", f"window-size={SIZE[0]},{SIZE[1]}", "lang=en-GB"]
        words += ["disable-gpu", "disable-dev-shm-usage", "disable-background-networking", "no-first-run"]
        words += ["no-sandbox"] if os.geteuid() == 0 else []  # chromium has none for root
        for word in words:
            options.add_argument(f"--{word}")
        self._driver = webdriver.Chrome(options=options, service=Service(str(shutil.which("chromedriver"))))
        self._driver.set_script_timeout(30)

    def close(self) -> None:
        self._driver.quit()

    def open(self, address: str) -> None:
        self._driver.get(address)

    @property
    def address(self) -> str:
        return str(self._driver.current_url)

    def text(self) -> str:
        """All that can be read."""
        return str(self._driver.find_element(By.TAG_NAME, "body").text)

    def picture(self, name: str) -> None:
        self._pictures.mkdir(exist_ok=True)
        assert self._driver.save_screenshot(str(self._pictures / f"{name}.png"))

    def until(self, look: Callable[[], Any], what: str, seconds: float = 60) -> Any:
        """Looks until there is something; pages that change while they are read are read again."""
        end, found = time.monotonic() + seconds, None
        while time.monotonic() < end:
            try:
                if found := look():
                    return found
            except (StaleElementReferenceException, WebDriverException) as problem:
                found = type(problem).__name__
            time.sleep(0.1)
        self._driver.save_screenshot(str(self._pictures / "failed.png"))
        pytest.fail(f"not within {seconds:.0f} s: {what}; {found!r}; {self.address}; {self.text()[-1500:]}")

    def seen(self, selector: str, text: str = "") -> list[WebElement]:
        """Elements that are shown, with this text as their own or first line."""
        shown = [one for one in self._driver.find_elements(By.CSS_SELECTOR, selector) if one.is_displayed()]
        return [one for one in shown if text in ("", one.text.strip().partition("\n")[0])]

    def press(self, selector: str, text: str = "", seconds: float = 60) -> None:
        """Waits for an element that can be pressed, and presses it."""

        def pressed() -> bool:
            for one in self.seen(selector, text):
                if one.is_enabled():
                    one.click()
                    return True
            return False

        self.until(pressed, f"{selector} {text}", seconds)

    def write(self, selector: str, text: str) -> None:
        """Types into a field, or a terminal."""
        field = self.until(lambda: self._driver.find_elements(By.CSS_SELECTOR, selector), selector)[-1]
        field.send_keys(text)

    def set(self, path: str, setting: str) -> None:
        """Saves a setting of the user's."""
        status = self._driver.execute_async_script(PUT, path, setting)
        assert status == 204, status


class Lab:
    """JupyterLab in a browser, at the path where it is served."""

    def __init__(self, browser: Browser, prefix: str = "") -> None:
        self._browser, self._prefix = browser, prefix

    def start(self, card: str) -> None:
        """Opens a card of the launcher: `Terminal`, `Slurm Dashboard`."""
        if not self._browser.seen(".jp-LauncherCard"):
            self._browser.press("[data-command='launcher:create']")
        self._browser.press(".jp-LauncherCard", card)

    def ready(self) -> None:
        """Waits until the launcher is there."""
        self._browser.until(lambda: self._browser.seen(".jp-LauncherCard"), "the launcher")

    def refresh_often(self) -> None:
        """The panel's own setting; a minute otherwise."""
        self._browser.set(f"{self._prefix}/lab/api/settings/{SETTINGS}", '{"autoReloadRate": 5}')
        self._browser.open(self._browser.address.partition("?")[0])  # it reads settings when it starts
        self.ready()

    def type(self, text: str) -> None:
        """Types into the terminal that was opened last."""
        self._browser.until(lambda: self._browser.seen(".jp-Terminal .xterm-screen"), "a terminal")
        for line in text.splitlines(keepends=True):
            self._browser.write(".jp-Terminal .xterm-helper-textarea", line)
            time.sleep(0.3)  # its answer comes before the next line

    def jobs(self) -> dict[str, dict[str, str]]:
        """The panel's table: columns by number of the job."""
        found = {}
        for row in self._browser.seen(".jp-SlurmWidget-main .ag-center-cols-container .ag-row"):
            cells = row.find_elements(By.CSS_SELECTOR, "[role=gridcell]")
            found[str(row.get_attribute("row-id"))] = {
                str(cell.get_attribute("col-id")): str(cell.text) for cell in cells
            }
        return found

    def job(self, name: str) -> tuple[str, dict[str, str]] | None:
        """Number and row of the newest job of that name."""
        named = [(number, row) for number, row in self.jobs().items() if row.get("NAME") == name]
        return max(named, key=lambda one: int(one[0])) if named else None

    def select(self, number: str) -> None:
        """Selects a job in the table."""
        self._browser.press(f".jp-SlurmWidget-main .ag-row[row-id='{number}'] [col-id='NAME']")
