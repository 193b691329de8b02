"""Configuration: names and addresses as in the tutorial, sources in order, every message."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.config.loader import DEFAULTS, load, read_key
from lab.config.node_groups import derived_mac
from lab.config.schema import read_schema, validate
from lab.config.toml_lines import key_lines
from lab.errors import Exit, UsageError
from lab.model import ClusterSpec, Role, Root, Tag, Trust
from lab.serialize import spec_from_json, spec_to_json

ROOT = Path(__file__).resolve().parents[3]


def configured(folder: Path, text: str, sets: Sequence[str] = (), **environ: str) -> ClusterSpec:
    """Loads a text as lab.toml."""
    path = folder / "lab.toml"
    path.write_text(text)
    return load(path, sets, environ, None)


def problems(folder: Path, text: str, sets: Sequence[str] = (), **environ: str) -> list[str]:
    """The lines of the refusal, with the file's name alone before the line number."""
    with pytest.raises(UsageError) as caught:
        configured(folder, text, sets, **environ)
    assert caught.value.code is Exit.USAGE
    return caught.value.evidence.replace(f"{folder}/", "").splitlines()


# what there is without any configuration


def test_defaults_are_the_tutorials_cluster() -> None:
    spec = load(None, (), {}, None)
    assert {n.name: str(n.address) for n in spec.nodes} == {
        "sms": "172.16.0.1",
        "login": "172.16.0.2",
        "c1": "172.16.1.1",
        "c2": "172.16.1.2",
        "g1": "172.16.2.1",
        "g2": "172.16.2.2",
        "outside": "203.0.113.66",
        "client": "172.16.0.100",
    }
    assert [(c.name, c.network) for c in spec.sms.interfaces] == [("eth0", "external"), ("eth1", "internal")]
    login = spec.node("login")
    assert [(c.name, c.network) for c in login.interfaces] == [("eth0", "internal"), ("eth1", "external")]
    assert [c.name for c in spec.node("c1").interfaces] == ["eth0"]
    assert [n.name for n in spec.nodes if not n.registered] == ["login"]
    assert [(n.name, n.gpus) for n in spec.nodes if n.tag is Tag.GPU] == [("g1", 2), ("g2", 2)]
    assert (spec.lab, spec.backend, spec.root) == ("lab", "docker", Root.RAM)


def test_the_example_file_is_the_defaults() -> None:
    assert load(ROOT / "lab.toml.example", (), {}, None) == load(None, (), {}, None)
    first = (ROOT / "lab.toml.example").read_text().splitlines()[0]
    assert (ROOT / first.removeprefix("#:schema ")).is_file()


def test_the_defaults_satisfy_the_schema() -> None:
    schema = read_schema()
    assert list(validate(dict(DEFAULTS), schema, schema)) == []


# names, addresses, MACs


def test_a_node_group_with_a_count_is_numbered_and_one_without_is_not(tmp_path: Path) -> None:
    spec = configured(tmp_path, "[nodes.c]\ncount = 1\n[nodes.bigmem]\nmemory = 4096\n")
    assert [n.name for n in spec.nodes] == ["sms", "login", "c1", "g1", "g2", "outside", "client", "bigmem"]
    assert str(spec.node("bigmem").address) == "172.16.3.1"
    assert spec.node("bigmem").role is Role.COMPUTE


def test_a_node_group_left_out_keeps_the_others_addresses(tmp_path: Path) -> None:
    spec = configured(tmp_path, "[nodes.c]\ncount = 0\n")
    assert [n.name for n in spec.nodes] == ["sms", "login", "g1", "g2", "outside", "client"]
    assert str(spec.node("g1").address) == "172.16.2.1"


def test_the_largest_lab_has_unique_addresses_and_macs() -> None:
    spec = load(None, ["c.count=250", "g.count=250"], {}, None)
    cards = [card for node in spec.nodes for card in node.interfaces]
    assert len({card.mac for card in cards}) == len(cards) == 506
    assert len({card.address for card in cards}) == len(cards)
    assert str(spec.node("c250").address) == "172.16.1.250"


def test_a_stranger_is_on_the_external_network_only() -> None:
    node = load(None, (), {}, None).node("outside")
    assert [(card.name, card.network) for card in node.interfaces] == [("eth0", "external")]
    assert node not in load(None, (), {}, None).stateless
    small = load(None, ["network.external.subnet=198.51.100.0/28"], {}, None)
    assert str(small.node("outside").external) == "198.51.100.14"
    assert small.node("c1").external is None
    given = load(None, ["outside.mac=02:00:00:00:00:66"], {}, None)
    assert given.node("outside").mac == "02:00:00:00:00:66"


def test_both_backends_have_the_same_machines() -> None:
    machines = [load(None, (), {"LAB_BACKEND": backend}, None).nodes for backend in ("docker", "libvirt")]
    assert machines[0] == machines[1]


def test_a_client_is_on_the_internal_network_only_and_no_node_of_the_sms() -> None:
    spec = load(None, (), {}, None)
    node = spec.node("client")
    assert [(card.name, card.network) for card in node.interfaces] == [("eth0", "internal")]
    assert node not in spec.stateless
    small = load(None, ["network.internal.subnet=198.51.100.0/29", "c.count=0", "g.count=0"], {}, None)
    assert str(small.node("client").address) == "198.51.100.6"


def test_first_address_moves_a_family() -> None:
    spec = load(None, ["c.first_address=172.16.9.7"], {}, None)
    assert [str(spec.node(name).address) for name in ("c1", "c2")] == ["172.16.9.7", "172.16.9.8"]


@given(lab=st.from_regex(r"[a-z][a-z0-9-]{0,19}", fullmatch=True))
@settings(max_examples=25, deadline=None)
def test_macs_are_derived_and_the_same_in_every_lab(lab: str) -> None:
    spec = load(None, (), {}, lab)
    assert replace(spec, lab="lab") == load(None, (), {}, "lab")
    assert all(re.fullmatch(r"52:54:00(:[0-9a-f]{2}){3}", c.mac) for n in spec.nodes for c in n.interfaces)


def test_given_macs_are_kept_in_lower_case_and_never_derived_again(tmp_path: Path) -> None:
    clash = derived_mac("g1", "eth0")
    spec = configured(tmp_path, f'[nodes.login]\nmac = "52:54:00:AB:CD:EF"\n[nodes.c]\nmacs = ["{clash}"]\n')
    assert spec.node("login").mac == "52:54:00:ab:cd:ef"
    assert spec.node("c1").mac == clash
    assert spec.node("g1").mac == derived_mac("g1", "eth0", attempt=1)


# the order of the sources


def test_flags_beat_variables_beat_file_beats_defaults(tmp_path: Path) -> None:
    text = 'lab = "fromfile"\nroot = "overlay"\n[nodes.c]\ncount = 3\ncpus = 4\nmemory = 600\n'
    spec = configured(tmp_path, text, ["c.memory=800"], LAB_SET="c.cpus=5 c.memory=700", LAB_NAME="fromenv")
    node = spec.node("c3")
    assert (spec.lab, spec.root, node.cpus, node.memory) == ("fromenv", Root.OVERLAY, 5, 800)
    assert load(None, (), {"LAB_NAME": "fromenv"}, "fromflag").lab == "fromflag"
    assert load(None, (), {"LAB_BACKEND": "libvirt"}, None).backend == "libvirt"


@pytest.mark.parametrize(
    ("setting", "name", "value"),
    [("root=overlay", "root", Root.OVERLAY), ("lab=other", "lab", "other"), ("lab=b8", "lab", "b8")],
)
def test_set_reaches_top_level_keys(setting: str, name: str, value: object) -> None:
    assert getattr(load(None, [setting], {}, None), name) == value


@pytest.mark.parametrize("prefix", ["network", "networks"])
def test_set_reaches_networks_and_families(prefix: str) -> None:
    sets = [f"{prefix}.internal.subnet=10.9.0.0/16", "login.registered=true", "nodes.x.count=1"]
    spec = load(None, sets, {}, None)
    assert spec.sms.address == IPv4Address("10.9.0.1")
    assert spec.node("login").registered
    assert spec.node("x1").cpus == 2


# every message


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("rot = 'ram'", "lab.toml:1: rot: no such key; did you mean root?"),
        ("[nodes.c]\n\nmemroy = 5", "lab.toml:3: nodes.c.memroy: no such key; did you mean memory?"),
        ("root = 'ramm'", 'lab.toml:1: root = "ramm": not a valid value; did you mean ram?'),
        ("backend = 'xen'", 'lab.toml:1: backend = "xen": not a valid value; there are: docker, libvirt'),
        (
            "lab = 'My Lab'",
            (
                'lab.toml:1: lab = "My Lab": must be a lower-case letter, then at most 19 '
                "lower-case letters, digits or dashes"
            ),
        ),
        ("lab = 7", "lab.toml:1: lab = 7: must be a string in quotes"),
        ("nodes = 3", "lab.toml:1: nodes = 3: must be a table"),
        (
            'lab = "x"\n[node.c]\ncount = 3',
            "lab.toml:2: node: no such key; did you mean nodes?",
        ),
        (
            "# a\u2028line that is none\nnode.c.count = 3",
            "lab.toml:2: node: no such key; did you mean nodes?",
        ),
        (
            "[nodes.c]\nmacs = [  # two\n  '52:54:00:00:00:01',\n  'zz',\n]",
            (
                'lab.toml:4: nodes.c: MAC "zz" must be six pairs of hexadecimal digits with colons, '
                "such as 52:54:00:12:34:56"
            ),
        ),
        ("[nodes.c]\ncount = 'two'", 'lab.toml:2: nodes.c.count = "two": must be a whole number'),
        ("[nodes.c]\ncount = true", "lab.toml:2: nodes.c.count = true: must be a whole number"),
        ("[nodes.c]\ncount = 251", "lab.toml:2: nodes.c.count = 251: must be at most 250"),
        ("[nodes.c]\ncount = -1", "lab.toml:2: nodes.c.count = -1: must be at least 0"),
        ("[nodes.c]\nmemory = 64", "lab.toml:2: nodes.c.memory = 64: must be at least 256"),
        ("[nodes.c]\ncpus = 0", "lab.toml:2: nodes.c.cpus = 0: must be at least 1"),
        ("[nodes.login]\nregistered = 1", "lab.toml:2: nodes.login.registered = 1: must be true or false"),
        ("[nodes.c]\nmacs = 'x'", 'lab.toml:2: nodes.c.macs = "x": must be a list'),
        ("[nodes.c]\nmacs = [1]", "lab.toml:2: nodes.c.macs.1 = 1: must be a string in quotes"),
        (
            "[nodes.C]\ncount = 1",
            (
                "lab.toml:1: nodes.C: a name must be a lower-case letter, then at most 19 "
                "lower-case letters, digits or dashes"
            ),
        ),
        (
            "[nodes.c]\nmacs = ['zz']",
            (
                'lab.toml:2: nodes.c: MAC "zz" must be six pairs of hexadecimal digits with colons, '
                "such as 52:54:00:12:34:56"
            ),
        ),
        (
            "[nodes.login]\nmac = '53:54:00:00:00:1a'",
            (
                'lab.toml:2: nodes.login: MAC "53:54:00:00:00:1a" is a multicast address; '
                "the first pair must be even"
            ),
        ),
        (
            "[nodes.c]\nmac = '52:54:00:00:00:01'",
            "lab.toml:2: nodes.c.mac: 2 nodes need a list of MACs; use macs",
        ),
        (
            "[nodes.login]\nmac = '52:54:00:00:00:01'\nmacs = []",
            "lab.toml:2: nodes.login: set mac or macs, not both",
        ),
        (
            "[nodes.g]\ncount = 1\nmacs = ['52:54:00:00:00:01', '52:54:00:00:00:02']",
            "lab.toml:3: nodes.g.macs: 2 MACs for 1 nodes",
        ),
        (
            "[nodes.c]\nmacs = ['52:54:00:00:00:01', '52:54:00:00:00:01']",
            "lab.toml:2: nodes.c: MAC 52:54:00:00:00:01 of c2 belongs to c1",
        ),
        (
            "[nodes.c]\nfirst_address = 'here'",
            'lab.toml:2: nodes.c.first_address = "here": must be an IPv4 address',
        ),
        (
            "[nodes.c]\ncount = 1\nfirst_address = '10.0.0.1'",
            "lab.toml:3: nodes.c: address 10.0.0.1 of c1 is not in 172.16.0.0/16",
        ),
        (
            "[nodes.c]\ncount = 1\nfirst_address = '172.16.0.2'",
            "lab.toml:3: nodes.c: address 172.16.0.2 of c1 belongs to login",
        ),
        (
            "[nodes.c]\ncount = 11\n[nodes.c1]\ncount = 1",
            "lab.toml:3: nodes.c1: its node c11 is also one of nodes.c",
        ),
        (
            "[networks.internal]\nsubnet = '172.16.0.1/16'",
            (
                'lab.toml:2: networks.internal.subnet = "172.16.0.1/16": has host bits set; '
                "did you mean 172.16.0.0/16?"
            ),
        ),
        (
            "[networks.internal]\nsubnet = 'wide'",
            'lab.toml:2: networks.internal.subnet = "wide": must be an IPv4 subnet, such as 172.16.0.0/16',
        ),
        (
            "[networks.internal]\nsubnet = '0.0.0.0/0'",
            'lab.toml:2: networks.internal.subnet = "0.0.0.0/0": the prefix must be between /8 and /29',
        ),
        (
            "[networks.external]\nsubnet = '172.16.5.0/24'",
            (
                "lab.toml:2: networks.external.subnet = 172.16.5.0/24: "
                "overlaps the internal network, 172.16.0.0/16"
            ),
        ),
        ("[networks.dmz]", "lab.toml:1: networks.dmz: no such key; there are: internal, external"),
        ("[nodes.head]\nrole = 'sms'", "lab.toml:2: a lab has exactly one SMS; this one has sms, head"),
        ("[nodes.sms]\nrole = 'login'", 'lab.toml:2: a lab needs a node with role = "sms"'),
        (
            "[nodes.sms]\ncount = 1",
            "lab.toml:2: nodes.sms.count: the SMS takes no count, since a lab has exactly one",
        ),
        (
            "[nodes.sms]\nregistered = false",
            "lab.toml:2: nodes.sms.registered: the SMS is always registered",
        ),
        (
            "[nodes.sms]\nmemory = 300",
            "lab.toml:2: nodes.sms.memory = 300: an SMS needs at least 512",
        ),
        ("[nodes.login]\ngpus = 1", "lab.toml:2: nodes.login.gpus: only compute nodes have GPUs"),
        ("[nodes.login]\ntag = 'gpu'", "lab.toml:2: nodes.login.tag: only compute nodes have GPUs"),
        ("[nodes.c]\ngpus = 1", 'lab.toml:2: nodes.c.gpus = 1: needs tag = "gpu"'),
        (
            "[nodes.outside]\nfirst_address = '172.16.0.9'",
            "lab.toml:2: nodes.outside.first_address: an outside node has no internal address",
        ),
        ("[nodes.g]\ngpus = 0", "lab.toml:2: nodes.g.gpus = 0: a node with tag gpu needs at least 1"),
    ],
)
def test_each_problem_is_told_with_line_value_and_nearest_name(tmp_path: Path, text: str, line: str) -> None:
    assert line in problems(tmp_path, text)


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ("c.cout=8", "--set c.cout=8: nodes.c.cout: no such key; did you mean count?"),
        ("c.count", "--set c.count: must be KEY=VALUE, such as c.count=8"),
        ("=8", "--set =8: must be KEY=VALUE, such as c.count=8"),
        ("rooot=ram", "--set rooot=ram: no key or node group rooot; did you mean root?"),
        ("c.count=many", '--set c.count=many: nodes.c.count = "many": must be a whole number'),
        ("root.x=1", "--set root.x=1: root is not a table"),
        ("c=3", "--set c=3: nodes.c = 3: must be a table"),
    ],
)
def test_each_bad_set_is_told(tmp_path: Path, setting: str, line: str) -> None:
    assert problems(tmp_path, "", [setting]) == [line]


def test_variables_are_named_in_problems(tmp_path: Path) -> None:
    assert problems(tmp_path, "", LAB_SET="c.count=900") == [
        "LAB_SET c.count=900: nodes.c.count = 900: must be at most 250"
    ]
    assert problems(tmp_path, "", LAB_SET="'open") == ["LAB_SET='open: no closing quotation"]
    assert problems(tmp_path, "", LAB_BACKEND="dcoker") == [
        'LAB_BACKEND=dcoker: backend = "dcoker": not a valid value; did you mean docker?'
    ]


def test_all_problems_come_at_once(tmp_path: Path) -> None:
    text = "lab = 'X'\n[nodes.c]\ncount = 900\n[nodes.g]\ngpus = 0\n[networks.internal]\nsubnet = 'x'\n"
    found = problems(tmp_path, text, ["bare", "c.cpu=3"])
    places = [line.split(": ")[0] for line in found]
    assert sorted(places) == [
        "--set bare",
        "--set c.cpu=3",
        "lab.toml:1",
        "lab.toml:3",
        "lab.toml:5",
        "lab.toml:7",
    ]


def test_a_file_that_is_no_toml_or_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not valid TOML") as caught:
        configured(tmp_path, "lab = lab\n")
    assert f"{tmp_path}/lab.toml:1: " in caught.value.evidence
    assert caught.value.evidence.endswith("lab = lab")
    with pytest.raises(UsageError, match="cannot read"):
        load(tmp_path / "none.toml", (), {}, None)
    (tmp_path / "latin").write_bytes(b"# two\nlab = '\xe9'")
    with pytest.raises(UsageError, match="is not UTF-8 text") as caught:
        load(tmp_path / "latin", (), {}, None)
    assert caught.value.evidence == f"{tmp_path}/latin:2: byte 0xe9"


def test_peek_reads_one_key_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "lab.toml"
    path.write_text("lab = 'mine'\nnonsense = 1\nroot = 7\n")
    assert (read_key(path, "lab"), read_key(path, "root"), read_key(None, "lab")) == ("mine", None, None)


# the scanner and the label


def test_key_lines_of_everything_toml_has() -> None:
    text = '''# comment = 1
a = 1  # b = 2
"quoted key".x = "]"

[table."sub.t"] # note
list = [ # [
  "]",
  "k = 3",
]
many = """
no = 4
"""
inline = { z = 1 }
other = \'\'\'
no2 = [
\'\'\'
[[array]]
last = 5
'''
    lines = key_lines(text)
    tomllib.loads(text)
    assert lines == {
        ("a",): 2,
        ("quoted key",): 3,
        ("quoted key", "x"): 3,
        ("table",): 5,
        ("table", "sub.t"): 5,
        ("table", "sub.t", "list"): 6,
        ("table", "sub.t", "list", "1"): 7,
        ("table", "sub.t", "list", "2"): 8,
        ("table", "sub.t", "many"): 10,
        ("table", "sub.t", "inline"): 13,
        ("table", "sub.t", "other"): 14,
        ("array",): 17,
        ("array", "last"): 18,
    }


def test_the_specification_survives_json() -> None:
    spec = load(None, ["c.count=9", "root=overlay"], {}, "other")
    text = spec_to_json(spec)
    assert spec_from_json(text) == spec
    plain = json.loads(text)
    assert plain["schema"] == 1
    assert plain["nodes"][0]["interfaces"][1]["address"] == "172.16.0.1"


def test_only_a_lab_whose_root_is_nobody_says_so() -> None:
    """So that labs from before this key are told nothing new."""
    learner, nobody = (load(None, [f"trust={one.value}"], {}, "other") for one in Trust)
    assert learner == load(None, (), {}, "other")
    assert "trust" not in json.loads(spec_to_json(learner))
    assert json.loads(spec_to_json(nobody))["trust"] == "nobody"
    assert [spec_from_json(spec_to_json(spec)) for spec in (learner, nobody)] == [learner, nobody]


def test_a_label_of_an_older_lab_is_still_read() -> None:
    """Labels once held three more keys, which nothing used."""
    spec = load(None, (), {}, "old")
    old = json.loads(spec_to_json(spec)) | {
        "course": "openhpc",
        "image_release": "trixie",
        "extra": {"a": "b"},
    }
    assert spec_from_json(json.dumps(old)) == spec


@pytest.mark.parametrize("text", ["", "[]", "7", "{}", '{"schema": 2}', '{"schema": 1, "lab": "x"}'])
def test_what_is_no_specification_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        spec_from_json(text)


def test_a_lab_has_a_runner_only_if_it_asks_for_one() -> None:
    assert not [node for node in load(None, (), {}, None).nodes if node.role is Role.RUNNER]
    node = load(None, ("runner.count=1",), {}, None).node("runner")
    assert (node.role, node.memory, node.disk) == (Role.RUNNER, 2048, 0)


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        (("runner.count=2",), "nodes.runner.count = 2: a lab has at most one runner"),
        (("runner.count=1", "backend=libvirt"), 'a runner needs backend = "docker"; this lab has "libvirt"'),
        (("runner.count=1", "trust=nobody"), 'a runner needs trust = "learner"; this lab has "nobody"'),
        (("runner.count=1", "runner.memory=512"), "nodes.runner.memory = 512: a runner needs at least 1024"),
        (("runner.count=1", "client.role=runner", "client.memory=1024"), "this one has client, runner"),
    ],
)
def test_a_runner_that_cannot_work_is_refused(sets: tuple[str, ...], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(None, sets, {}, None)
    assert said in caught.value.evidence


def test_an_sms_with_jupyter_is_asked_for_and_has_an_image_of_its_own() -> None:
    plain, asked = load(None, (), {}, None), load(None, ("jupyter=true",), {}, None)
    assert (plain.jupyter, plain.sms_image) == (False, "sms")
    assert (asked.jupyter, asked.sms_image) == (True, "sms-jupyter")
    with pytest.raises(UsageError) as caught:
        load(None, ("jupyter=true", "trust=nobody"), {}, None)
    assert 'jupyter = true needs trust = "learner"; this lab has "nobody"' in caught.value.evidence
    with pytest.raises(UsageError):
        load(None, ("jupyter=yes",), {}, None)
