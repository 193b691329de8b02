"""Configuration files (warewulf3.md, section 13)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lab.guest.warewulf import conf, presets

if TYPE_CHECKING:
    from tests.guest.conftest import Sms


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a = 1\na += 2, 3\n", {"a": ("1", "2", "3")}),
        ("a = 1\na = 2\n", {"a": ("2",)}),
        ("network device = eth1\n", {"network device": ("eth1",)}),
        ('k = "x, y", z # why\n', {"k": ("x, y", "z")}),
        ("modprobe += virtio_blk\n", {"modprobe": ("virtio_blk",)}),
        ("drivers+=kernel/net/\n", {"drivers": ("kernel/net/",)}),
        ("# a = 1\n\n", {}),
        ("hybridpath = /vnfs/%{name}\n", {"hybridpath": ("/vnfs/%{name}",)}),
        ("a =\n", {"a": ("",)}),
        ("a = ,b\n", {"a": ("", "b")}),
        ("a = b,,c,\n", {"a": ("b", "", "c")}),
        ("url = http://x/?a=b\n", {"url": ("http://x/?a=b",)}),
        # Blanks before a key mean nothing; before other words they continue the line above.
        ("drivers += ext4\n  drivers += xfs\n", {"drivers": ("ext4", "xfs")}),
        ("  a = 1\n\tb = 2\n", {"a": ("1",), "b": ("2",)}),
        ("a = 1,\n  2\n", {"a": ("1", "2")}),
        ("a = 1\n\t2, 3\n", {"a": ("1", "2", "3")}),
        ("a = 1\nb = 2\n  3\n", {"a": ("1",), "b": ("2", "3")}),
        ("a = 1\n# why\n\n  2\n", {"a": ("1", "2")}),
        ("  2\na = 1\n", {"a": ("1",)}),
        ("a = 1\n  =2\n", {"a": ("1", "=2")}),
        # A backslash protects the character that follows it.
        ("a = value\\ four, b\\,c, d\\\\e\n", {"a": ("value four", "b,c", "d\\e")}),
        ('a = "q\\"r", \'x\\y\'\n', {"a": ('q"r', "x\\y")}),
        ('a = b"c, d"e\n', {"a": ("bc, de",)}),
        # A quote that is not closed leaves the line without a value.
        ('a = "b, c\n', {"a": ()}),
        ("a = don't\n", {"a": ()}),
        # A comment needs a blank before it.
        ("a = b#c # d\n   # e\n", {"a": ("b#c",)}),
        # A `+` in a key, a line without a key, and plain words at the start of a line say nothing.
        ("a+b = c\n=d\nplain words\n", {}),
        # Keys are the same in any case.
        ("Drivers = ext4\ndrivers += xfs\n", {"drivers": ("ext4", "xfs")}),
    ],
)
def test_values(text: str, values: dict[str, tuple[str, ...]]) -> None:
    """Recorded from the loop of Warewulf::Config::parse with Perl 5.36 and Text::ParseWords 3.31."""
    assert dict(conf.parse("x.conf", text).values) == values


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("drivers += ext4, \\\n   xfs\n", {"drivers": ("ext4", "xfs")}),
        ("drivers += ext4 \\\nxfs, vfat\n", {"drivers": ("ext4", "xfs", "vfat")}),
        ("drivers = \\\n  ext4, \\\n  xfs\na = 1\n", {"drivers": ("ext4", "xfs"), "a": ("1",)}),
        ("default kargs = quiet \\\n  console=ttyS0\n", {"default kargs": ("quiet", "console=ttyS0")}),
        ("a = b\\\\\nc = 1\n", {"a": ("b\\",), "c": ("1",)}),
        ("a = b # why \\\nc = 1\n", {"a": ("b",), "c": ("1",)}),
    ],
)
def test_a_backslash_at_the_end_continues_a_line(text: str, values: dict[str, tuple[str, ...]]) -> None:
    """As Config.pm documents it; its code loses the values before the backslash."""
    assert dict(conf.parse("x.conf", text).values) == values


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('a = 1\na = "b\n', "line 2: a quote is not closed, so the line has no value"),
        ("a = b\r\n", "line 1: the value ends in a carriage return"),
    ],
)
def test_a_line_that_misleads_is_named(text: str, said: str) -> None:
    (problem,) = conf.parse("x.conf", text).problems
    assert f"x.conf {said}" in problem


def test_empty_values_count_as_none() -> None:
    settings = conf.parse("x.conf", "a =\nb = ,c\n")
    assert settings.one("a", "default") == "default"
    assert settings.one("b", "default") == "default"
    assert settings.many("b") == ("c",)


def test_a_file_is_found_by_path_then_in_the_users_folder_then_in_etc(
    bare: Sms, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order of Warewulf::Config::load."""
    monkeypatch.setenv("HOME", "/root")
    bare.write("/etc/warewulf/x.conf", "a = system\n")
    assert conf.read(bare.system, "x.conf").one("a") == "system"
    bare.write("/root/.warewulf/x.conf", "a = user\n")
    assert conf.read(bare.system, "x.conf").one("a") == "user"
    bare.write("/opt/x.conf", "a = path\n")
    assert conf.read(bare.system, "/opt/x.conf").one("a") == "path"
    assert dict(conf.read(bare.system, "none.conf").values) == {}


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
