"""The folder of downloaded trees: what a killed build left goes, what is in use stays."""

from __future__ import annotations

import os
from pathlib import Path

from lab.images.leftovers import remove_leftovers
from lab.images.pipeline import kept_names

NOW = 1_800_000_000.0
DAY = 86400


def test_what_killed_builds_and_old_recipes_left_is_removed(tmp_path: Path) -> None:
    key = "0123456789ab"
    ages = {
        f"sms-{key}.tar": 900,
        f"sms-{key}.part": 2,
        f"node-{key}.part": 0,
        f"gone-{key}.tar": 31,
        f"new-{key}.tar": 29,
        "rackling-old": 2,
        "rackling-now": 0,
        "notes.txt": 900,
    }
    for name, days in ages.items():
        path = tmp_path / name
        if name.startswith("rackling"):
            path.mkdir()
            (path / "file").touch()
        else:
            path.touch()
        os.utime(path, (NOW - days * DAY, NOW - days * DAY))
    remove_leftovers(tmp_path, {"sms", "node"}, NOW)
    left = {path.name for path in tmp_path.iterdir()}
    assert set(ages) - left == {f"sms-{key}.part", f"gone-{key}.tar", "rackling-old"}


def test_the_trees_and_stores_of_all_recipes_are_known() -> None:
    assert {"sms", "node", "chassis", "sms-store"} <= kept_names()
