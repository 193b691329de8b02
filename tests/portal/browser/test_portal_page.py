"""`lab portal up` as its user meets it: an address that works once, a terminal, the panel."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.portal.browser.driver import Browser, Lab
from tests.portal.browser.scene import play
from tests.portal.conftest import lab
from tests.portal.page import (
    NAME,
    PAGE,
    SLURM,
    Page,
    docker,
    inside,
    notebook,
    remove_all,
    token,
    until,
)


@pytest.fixture(autouse=True)
def _removed() -> Iterator[None]:
    yield
    remove_all()


pytestmark = pytest.mark.parametrize("release", ["trixie"], indirect=True, scope="session")


def test_a_newcomer_submits_sees_and_cancels_jobs(page: Page, browser: Browser) -> None:
    begin = time.monotonic()
    browser.open(lab("portal", "up", NAME, "--release", page.release).stdout.strip())
    played = play(browser, Lab(browser), lambda name: browser.picture(f"portal-{name}"))
    print(f"from the address to the end: {time.monotonic() - begin:.1f} s")
    states = {number: state(number) for number in (played.ended, played.cancelled)}
    assert states == {played.ended: "COMPLETED", played.cancelled: "CANCELLED by 1001"}
    assert inside(PAGE, "cat", f"/home/user1/hello.{played.ended}", user="1001") == "slurm"


def state(number: str) -> str:
    """By Slurm's own records."""
    return inside(SLURM, "sacct", "-nXPo", "State", "-j", number)


def test_an_address_that_was_used_opens_nothing(page: Page, browser: Browser) -> None:
    address = lab("portal", "up", NAME, "--release", page.release).stdout.strip()
    Page(address, page.release)
    browser.open(address)
    browser.until(lambda: "/login" in browser.address, "the page asks to sign in")
    assert not browser.seen(".jp-LauncherCard")


def test_an_expired_token_says_renew_on_the_page_and_the_panel_does_not_rush(
    page: Page, browser: Browser
) -> None:
    """The panel of jupyterlab-slurm asks again at once after a failure; squeue's answer holds it back."""
    words = ("-p", "127.0.0.1::8888", "-e", "JUPYTER_LISTEN=0.0.0.0")
    one = notebook(page.release, *words, secrets=token("user1", 5))
    until(lambda: "expired" in one.squeue().stderr, 60, "the token has ended")
    port = docker("port", one.name, "8888").stdout.strip().rpartition(":")[2]
    code = one.program("url").stdout.strip().rpartition("=")[2]
    browser.open(f"http://127.0.0.1:{port}/lab?token={code}")
    Lab(browser).start("Slurm Dashboard")
    browser.until(lambda: "your Slurm token expired at" in browser.text(), "the sentence on the page")
    assert "renew it" in browser.text()
    browser.picture("portal-expired")
    before = one.log().count("squeue: your Slurm token expired")
    time.sleep(12)
    assert one.log().count("squeue: your Slurm token expired") - before <= 3
