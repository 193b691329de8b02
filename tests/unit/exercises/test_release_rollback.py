"""The checks about releases and their rollback, against scripted nodes."""

from __future__ import annotations

import pytest

from lab.checks.api import Outcome
from tests.unit.checks_world import World
from tests.unit.exercises.nodeimage_answers import INVALID, UNKNOWN, VALID, refused, shown
from tests.unit.exercises.test_login import judge, outcomes
from tests.unit.exercises.test_reboot import c1
from tests.unit.exercises.test_security import passes

COMMITS = {"november": "5b0e7a41c9d2", "december": "91c4f07be2a6"}
SIZES = {"november": 5_000_001, "december": 5_000_002}
MAC = "52:54:00:00:01:01"
ENTRY = "#!ipxe\ninitrd http://172.16.0.1/nodeimage/compute/current/image\n"
IPXE_URL = "http://%{IPADDR}/nodeimage/.boot/${mac}"


def of(name: str) -> str:
    return shown(name, COMMITS[name], SIZES[name])


def sent(*names: str) -> str:
    """The web server's log: for each boot, the entry and the image; beside others' and broken requests."""
    rows = []
    for name in names:
        for path, status, size in ((f".boot/{MAC}", 200, 300), ("compute/current/image", 200, SIZES[name])):
            rows.append(
                f'172.16.1.1 - - [30/Nov/2026] "GET /nodeimage/{path} HTTP/1.0" {status} {size} "-" "-"'
            )
    rows.append(f'172.16.1.1 - - [30/Nov/2026] "GET /x HTTP/1.0" 404 {SIZES["december"]} "-" "-"')
    return "\n".join([*rows, "172.16.1.1 garbage", ""])


def stamp(name: str) -> str:
    return f"IMAGE_ROLE=compute\nIMAGE_REF={name}\nIMAGE_COMMIT={COMMITS[name]}\n"


def solved() -> World:
    world = c1(World(), "IDLE")
    for name in COMMITS:
        world.says("sms", f"^nodeimage show compute {name} ", of(name))
        world.says("sms", f"^nodeimage verify compute {name} ", VALID)
    world.says("sms", "^nodeimage show compute --json", of("november"))
    world.says("sms", "^grep -aF '172.16.1.1 ' ", sent("november", "december", "november"))
    world.says("sms", f"^cat /srv/nodeimage/.boot/{MAC}", ENTRY)
    row = f"             c1: IPXEURL          = {IPXE_URL}\n"
    world.says("sms", "^wwsh provision print c1", f"#### c1 {'#' * 60}\n{row}")
    return world.says("c1", "^cat /etc/image-release", stamp("november"))


def test_it_passes_when_solved() -> None:
    assert passes("release_rollback", solved())


def test_at_first_only_the_release_is_missing() -> None:
    world = solved().says(
        "sms", "^nodeimage show compute december ", refused(UNKNOWN, "there is no release"), UNKNOWN
    )
    found = judge("release_rollback", world)
    assert outcomes(found, Outcome.FAILED) == ["december_is_published"]
    assert outcomes(found, Outcome.PASSED) == []


@pytest.mark.parametrize(
    ("node", "pattern", "output", "status", "check", "part"),
    [
        (
            "sms",
            "^nodeimage verify compute december ",
            refused(INVALID, "it is not what builder signed", "image: SHA-256 1"),
            INVALID,
            "december_is_published",
            "SHA-256",
        ),
        ("sms", "^grep -aF", sent("november"), 0, "c1_has_booted_december", "it has not"),
        ("sms", "^grep -aF", "", 1, "c1_has_booted_december", "it has not"),
        ("sms", "^nodeimage show compute --json", of("december"), 0, "link_leads_to_november", "december"),
        ("sms", "^cat /srv/nodeimage/.boot", "", 1, "c1_follows_the_link", IPXE_URL),
        (
            "sms",
            "^wwsh provision print c1",
            "#### c1 ####\n   c1: IPXEURL = UNDEF\n",
            1,
            "c1_follows_the_link",
            "none",
        ),
        (
            "c1",
            "^cat /etc/image-release",
            stamp("december"),
            0,
            "c1_runs_november",
            "december (91c4f07be2a6)",
        ),
        ("c1", "^cat /etc/image-release", "", 1, "c1_runs_november", "no stamp"),
        (
            "sms",
            "^grep -aF",
            sent("november", "december"),
            0,
            "c1_runs_november",
            "last loaded the image of december",
        ),
    ],
)
def test_what_is_wrong_is_named(
    node: str, pattern: str, output: str, status: int, check: str, part: str
) -> None:
    found = judge("release_rollback", solved().says(node, pattern, output, status))
    assert outcomes(found, Outcome.FAILED) == [check]
    assert part in found[check].actual


def test_a_node_that_was_not_resumed_is_named() -> None:
    found = judge("release_rollback", c1(solved(), "IDLE+DRAIN", "november"))
    assert outcomes(found, Outcome.FAILED) == ["c1_takes_jobs"]
    assert "november" in found["c1_takes_jobs"].actual
