"""Account numbers: `containers/users` gives some to every image, recipes add others; no two are the same."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

CONTAINERS = Path(__file__).resolve().parents[3] / "containers"
INSTALLERS = sorted(CONTAINERS.glob("*/install"))
WORDS = (
    re.compile(r"^account (?P<name>\S+) (?P<number>\d+)", re.MULTILINE),
    re.compile(r"useradd .*--uid (?P<number>\d+) .*?(?P<name>\w+)$", re.MULTILINE),
    re.compile(r"echo '(?P<name>\w+):x:(?P<number>\d+):\d+:"),
)


def given_to_all() -> dict[str, int]:
    """The user accounts that each image has from the beginning."""
    lines = [line.split() for line in (CONTAINERS / "users").read_text().splitlines() if line[:1] != "#"]
    return {name: int(uid) for name, uid, _gid in lines if uid != "-"}


def added(installer: Path) -> dict[str, int]:
    """The user accounts that a recipe's own set-up adds."""
    text = installer.read_text()
    return {one["name"]: int(one["number"]) for word in WORDS for one in word.finditer(text)}


def test_the_recipes_that_add_accounts_are_read() -> None:
    found = {path.parent.name: added(path) for path in INSTALLERS}
    assert {"mysql", "slurmrestd"} <= found["slurm-single-node"].keys()
    assert {"warewulf", "polkitd"} <= found["sms"].keys()


@pytest.mark.parametrize("installer", INSTALLERS, ids=lambda path: path.parent.name)
def test_no_two_accounts_of_an_image_have_one_number(installer: Path) -> None:
    numbers = Counter({**given_to_all(), **added(installer)}.values())
    assert [number for number, count in numbers.items() if count > 1] == []
