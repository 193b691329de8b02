"""Configuration files (warewulf3.md, section 13)."""

from __future__ import annotations

import pytest

from lab.guest.warewulf import conf, presets


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a = 1\na += 2, 3\n", {"a": ("1", "2", "3")}),
        ("a = 1\na = 2\n", {"a": ("2",)}),
        ("network device = eth1\n", {"network device": ("eth1",)}),
        ('k = "x, y", z # why\n', {"k": ("x, y", "z")}),
        ("a = 1,\n  2\n", {"a": ("1", "2")}),
        ("modprobe += virtio_blk\n", {"modprobe": ("virtio_blk",)}),
        ("drivers+=kernel/net/\n", {"drivers": ("kernel/net/",)}),
        ("# a = 1\n\n", {}),
        ("hybridpath = /vnfs/%{name}\n", {"hybridpath": ("/vnfs/%{name}",)}),
        ("a =\n", {"a": ("",)}),
    ],
)
def test_values(text: str, values: dict[str, tuple[str, ...]]) -> None:
    assert dict(conf.parse("x.conf", text).values) == values


def test_a_line_that_says_nothing_is_named() -> None:
    assert conf.parse("x.conf", "a = 1\nnonsense\n").problems == ("x.conf line 2: cannot parse: nonsense",)


def test_a_special_file_adds_to_the_general_one() -> None:
    base = conf.parse("vnfs.conf", "exclude += /tmp/*\ngzip command = gzip -6\n")
    both = conf.parse("vnfs/x.conf", "exclude += /opt\n", base)
    assert both.many("exclude") == ("/tmp/*", "/opt")
    assert both.one("gzip command") == "gzip -6"


@pytest.mark.parametrize("name", [name for name in presets.FILES if name.endswith(".conf")])
def test_what_we_ship_can_be_read(name: str) -> None:
    assert conf.parse(name, presets.FILES[name]).problems == ()


def test_the_bootstrap_as_shipped_has_no_network_filters() -> None:
    drivers = conf.parse("bootstrap.conf", presets.FILES["bootstrap.conf"]).many("drivers")
    assert "virtio_net" in drivers
    assert not [entry for entry in drivers if entry.startswith("kernel/net")]
