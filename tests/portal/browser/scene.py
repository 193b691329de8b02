"""What a newcomer does on the page, as docs/portal.md says it: the same at a portal and at a Hub's server."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.portal.browser.driver import Browser, Lab
from tests.portal.browser.typed import SCRIPT

DASHBOARD = "Slurm Dashboard"
PANEL_BUTTON = ".jp-SlurmWidget-main button"


@dataclass(frozen=True)
class Played:
    """What was seen: numbers of the job that ended and of the one that was cancelled."""

    ended: str
    cancelled: str


def play(browser: Browser, lab: Lab, picture: Callable[[str], None]) -> Played:
    """Submits two jobs in the terminal, sees them in the panel, cancels one, sees the other end."""
    lab.ready()
    lab.refresh_often()
    picture("launcher")
    lab.start("Terminal")
    time.sleep(1)  # its shell starts
    lab.type(SCRIPT)
    time.sleep(1)
    picture("terminal")
    lab.start(DASHBOARD)
    ended, _ = browser.until(lambda: lab.job("hello.sh"), "hello.sh in the table")
    cancelled, _ = browser.until(lambda: lab.job("long"), "the other job in the table")
    lab.select(cancelled)
    picture("panel")
    browser.press(PANEL_BUTTON, "Cancel")
    browser.until(lambda: cancelled not in lab.jobs(), f"job {cancelled} leaves the table")
    browser.until(lambda: ended not in lab.jobs(), f"job {ended} ends")
    browser.press(PANEL_BUTTON, "Job History")
    return Played(ended, cancelled)
