"""The journal of every system that runs one is small and in the node's own memory."""

from __future__ import annotations

from configparser import ConfigParser

from lab.images import recipe

LONGEST = 8 << 20  # bytes
SETTINGS = "etc/systemd/journald.conf.d/rackling.conf"


def test_every_tree_with_systemd_has_a_bounded_journal() -> None:
    checked = []
    for name in recipe.names():
        made_of = recipe.load(name)
        assert made_of is not None
        for path, tree in made_of.trees:
            if "systemd-sysv" in tree.packages:
                found = [
                    source / SETTINGS for at, source in made_of.files if at.rstrip("/") == path.rstrip("/")
                ]
                assert bounded(next(file for file in found if file.exists()).read_text()), (name, path)
                checked.append((name, tree.name))
    assert {("sms", "sms"), ("sms", "node")} <= set(checked)


def bounded(text: str) -> bool:
    settings = ConfigParser()
    settings.read_string(text)
    journal = settings["Journal"]
    size = journal["RuntimeMaxUse"]
    return journal["Storage"] == "volatile" and size.endswith("M") and int(size[:-1]) << 20 <= LONGEST
