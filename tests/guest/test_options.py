"""Options as Perl's Getopt::Long 2.52 reads them with `bundling`; rows recorded by running it."""

from __future__ import annotations

import pytest

from lab.guest.warewulf.options import Option, OptionError, parse

MODULE = (
    Option("groups", ("g", "groups")),
    Option("groupadd", ("groupadd",)),
    Option("netdev", ("D", "netdev")),
    Option("netdel", ("netdel",), flag=True),
    Option("netmask", ("netmask",)),
    Option("name", ("n", "name")),
    Option("one", ("1",), flag=True),
    Option("all", ("a", "all"), flag=True),
    Option("max", ("x", "max"), count=True),
)
SHELL = (
    Option("debug", ("d", "debug"), flag=True),
    Option("verbose", ("v", "verbose"), flag=True),
    Option("quiet", ("q", "quiet"), flag=True),
    Option("yes", ("y", "yes", "noask"), flag=True),
    Option("nodhcp", ("nodhcp",), flag=True),
)
Values = dict[str, tuple[str, ...]]


@pytest.mark.parametrize(
    ("line", "values", "words"),
    [
        ("new c1 --netdev=eth0", {"netdev": ("eth0",)}, "new c1"),
        ("--netdev eth0 new -n x", {"netdev": ("eth0",), "name": ("x",)}, "new"),
        ("-Deth0 -nx", {"netdev": ("eth0",), "name": ("x",)}, ""),
        ("-1a list", {"one": ("1",), "all": ("1",)}, "list"),
        ("-1aDeth0 list", {"one": ("1",), "all": ("1",), "netdev": ("eth0",)}, "list"),
        ("--NetDev=eth0 --NAME=X", {"netdev": ("eth0",), "name": ("X",)}, ""),
        ("--netm=m --na=x", {"netmask": ("m",), "name": ("x",)}, ""),
        ("--n=x --g=a", {"name": ("x",), "groups": ("a",)}, ""),
        ("-g a -g b,c", {"groups": ("a", "b,c")}, ""),
        ("-g -1 x", {"groups": ("-1",)}, "x"),
        ("-g -- x", {"groups": ("--",)}, "x"),
        ("-1 -- -a x", {"one": ("1",)}, "-a x"),
        ("- x", {}, "- x"),
        ("--name=a=b", {"name": ("a=b",)}, ""),
        ("--max c1", {"max": ("0",)}, "c1"),
        ("-x 3 c1", {"max": ("3",)}, "c1"),
        ("-x3 --max=4", {"max": ("3", "4")}, ""),
        # Getopt::Long gives `=eth0`, which is no value that a module takes.
        ("-D=eth0", {"netdev": ("eth0",)}, ""),
    ],
)
def test_a_line(line: str, values: Values, words: str) -> None:
    told: list[str] = []
    parsed = parse(MODULE, line.split(), told.append)
    assert dict(parsed.values) == values
    assert list(parsed.words) == words.split()
    assert told == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--frob=1", "Unknown option: frob"),
        ("-z", "Unknown option: z"),
        ("--net=x", "Option net is ambiguous (netdel, netdev, netmask)"),
        ("--group a", "Option group is ambiguous (groupadd, groups)"),
        ("--netdel=1", "Option netdel does not take an argument"),
        ("set --netdev", "Option netdev requires an argument"),
    ],
)
def test_what_getopt_complains_of_is_refused(line: str, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        parse(MODULE, line.split(), lambda _: None)
    assert str(caught.value) == message


@pytest.mark.parametrize("line", [["--netmask="], ["--netmask", ""], ["-n", ""]])
def test_an_empty_value_is_left_out_with_a_warning(line: list[str]) -> None:
    told: list[str] = []
    parsed = parse(MODULE, ["set", *line, "-D", "eth0", "c1"], told.append)
    assert dict(parsed.values) == {"netdev": ("eth0",)}
    assert list(parsed.words) == ["set", "c1"]
    assert [text.split()[-4:] for text in told] == [["it", "was", "left", "out"]]


@pytest.mark.parametrize(
    ("line", "values", "words"),
    [
        ("-qy node list", {"quiet": ("1",), "yes": ("1",)}, "node list"),
        ("node list -vq", {"verbose": ("1",), "quiet": ("1",)}, "node list"),
        ("node list -l groups a", {}, "node list -l groups a"),
        ("node list -1q", {}, "node list -1q"),
        ("node set -ydeth0", {"yes": ("1",), "debug": ("1",)}, "node set -eth0"),
        ("node set --noask --verb", {"yes": ("1",), "verbose": ("1",)}, "node set"),
        ("node set --no", {}, "node set --no"),
        ("node set --quiet=1", {}, "node set --quiet=1"),
        ("file show -- -v", {}, "file show -- -v"),
    ],
)
def test_wwsh_takes_its_own_options_and_passes_the_others_on(line: str, values: Values, words: str) -> None:
    parsed = parse(SHELL, line.split(), lambda _: None, pass_through=True)
    assert dict(parsed.values) == values
    assert list(parsed.words) == words.split()
