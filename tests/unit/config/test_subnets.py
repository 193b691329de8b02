"""A lab works on any subnet that can work; every other is refused where it is written, with the reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.config.loader import load
from lab.errors import UsageError
from lab.model import ClusterSpec, Role

INTERNAL = "[networks.internal]\nsubnet = '{}'\n"


def built(tmp_path: Path, text: str, *sets: str) -> ClusterSpec:
    file = tmp_path / "lab.toml"
    file.write_text(text)
    return load(file, sets, {}, None)


def refusal(tmp_path: Path, text: str, *sets: str) -> list[str]:
    with pytest.raises(UsageError) as caught:
        built(tmp_path, text, *sets)
    return [line.replace(f"{tmp_path}/", "") for line in caught.value.evidence.splitlines()]


def addresses(spec: ClusterSpec) -> dict[str, str]:
    return {node.name: str(node.address) for node in spec.nodes if node.role is not Role.OUTSIDE}


def test_the_default_lab_has_the_addresses_of_the_tutorial() -> None:
    spec = load(None, [], {}, None)
    assert addresses(spec) == {
        "sms": "172.16.0.1",
        "login": "172.16.0.2",
        "c1": "172.16.1.1",
        "c2": "172.16.1.2",
        "g1": "172.16.2.1",
        "g2": "172.16.2.2",
        "client": "172.16.0.100",
    }
    assert [str(spec.node(name).external) for name in ("sms", "login", "outside")] == [
        "203.0.113.10",
        "203.0.113.11",
        "203.0.113.66",
    ]


@pytest.mark.parametrize(
    ("subnet", "c2", "g1", "client"),
    [
        ("10.0.0.0/8", "10.0.1.2", "10.0.2.1", "10.0.0.100"),
        ("172.17.0.0/16", "172.17.1.2", "172.17.2.1", "172.17.0.100"),
        ("192.168.4.0/22", "192.168.5.2", "192.168.6.1", "192.168.4.100"),
        ("192.168.4.0/23", "192.168.4.130", "192.168.5.1", "192.168.4.100"),
        ("192.168.7.0/24", "192.168.7.66", "192.168.7.129", "192.168.7.254"),
        ("192.168.7.128/25", "192.168.7.162", "192.168.7.193", "192.168.7.254"),
        ("192.168.7.16/28", "192.168.7.22", "192.168.7.25", "192.168.7.30"),
        ("100.64.0.0/10", "100.64.1.2", "100.64.2.1", "100.64.0.100"),
    ],
)
def test_a_whole_lab_fits_any_subnet(tmp_path: Path, subnet: str, c2: str, g1: str, client: str) -> None:
    found = addresses(built(tmp_path, INTERNAL.format(subnet)))
    assert (found["c2"], found["g1"], found["client"]) == (c2, g1, client)
    assert len(set(found.values())) == len(found)


@pytest.mark.parametrize(
    ("subnet", "sets", "g1"),
    [
        ("10.9.8.0/24", ("c.count=100",), "10.9.8.103"),  # no room for two blocks of this size
        ("10.9.8.0/24", ("c.count=240", "g.count=5"), "10.9.8.243"),
        ("10.9.8.0/28", ("c.count=8", "g.count=1"), "10.9.8.11"),
        ("10.9.0.0/16", ("c.count=250", "g.count=250"), "10.9.2.1"),
    ],
)
def test_groups_are_packed_where_their_blocks_are_too_small(
    tmp_path: Path, subnet: str, sets: tuple[str, ...], g1: str
) -> None:
    found = addresses(built(tmp_path, INTERNAL.format(subnet), *sets))
    assert found["g1"] == g1
    assert len(set(found.values())) == len(found)


def test_a_group_that_grows_moves_no_other_while_its_block_lasts(tmp_path: Path) -> None:
    before = addresses(built(tmp_path, INTERNAL.format("10.9.8.0/24")))
    after = addresses(built(tmp_path, INTERNAL.format("10.9.8.0/24"), "c.count=60"))
    assert before.items() <= after.items()


@pytest.mark.parametrize("prefix", range(24, 30))
def test_external_networks_have_room_for_the_default_lab(tmp_path: Path, prefix: int) -> None:
    spec = built(tmp_path, f"[networks.external]\nsubnet = '198.51.100.0/{prefix}'")
    found = [node.external for node in spec.nodes if node.external is not None]
    subnet = spec.network("external").subnet
    assert len(set(found)) == 3
    assert all(address in list(subnet.hosts()) for address in found)


def test_several_groups_of_a_role_share_no_address(tmp_path: Path) -> None:
    text = "".join(
        f"[nodes.{name}{n}]\nrole = '{name}'\n" for name in ("login", "outside", "client") for n in "ab"
    )
    spec = built(tmp_path, text)
    found = [card.address for node in spec.nodes for card in node.interfaces]
    assert len(set(found)) == len(found)


@pytest.mark.parametrize(
    ("subnet", "why"),
    [
        ("127.0.0.0/8", "overlaps 127.0.0.0/8, which is the loopback network of every machine"),
        ("127.1.0.0/16", "overlaps 127.0.0.0/8, which is the loopback network of every machine"),
        ("224.0.0.0/8", "overlaps 224.0.0.0/4, whose addresses are multicast groups"),
        ("239.1.2.0/24", "overlaps 224.0.0.0/4, whose addresses are multicast groups"),
        ("0.0.0.0/8", 'overlaps 0.0.0.0/8, which means "this network"'),
        ("169.254.0.0/16", "overlaps 169.254.0.0/16, whose link-local addresses machines give themselves"),
        ("169.0.0.0/8", "overlaps 169.254.0.0/16, whose link-local addresses machines give themselves"),
        ("240.0.0.0/8", "overlaps 240.0.0.0/4, which is reserved"),
        ("255.255.255.0/24", "overlaps 240.0.0.0/4, which is reserved"),
        ("fe80::/64", "must be an IPv4 subnet, such as 172.16.0.0/16"),
        ("10.0.0.0/7", "the prefix must be between /8 and /29"),
        ("10.1.0.0/8", "has host bits set; did you mean 10.0.0.0/8?"),
        ("10.0.0.0/30", "the prefix must be between /8 and /29"),
    ],
)
@pytest.mark.parametrize("network", ["internal", "external"])
def test_a_subnet_that_cannot_work_is_refused_with_the_reason(
    tmp_path: Path, network: str, subnet: str, why: str
) -> None:
    (line,) = refusal(tmp_path, f"\n[networks.{network}]\nsubnet = '{subnet}'\n")
    assert line.startswith(f'lab.toml:3: networks.{network}.subnet = "{subnet}": {why}')


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            INTERNAL.format("10.0.0.0/29"),
            (
                "lab.toml:2: networks.internal.subnet = 10.0.0.0/29: "
                "too small: 7 nodes need an address, and it has 6"
            ),
        ),
        (
            "[nodes.outside]\ncount = 5\n[networks.external]\nsubnet = '10.0.0.0/29'",
            (
                "lab.toml:4: networks.external.subnet = 10.0.0.0/29: "
                "too small: 7 nodes need an address, and it has 6"
            ),
        ),
        (
            "[nodes.login]\nfirst_address = '172.16.0.0'",
            (
                "lab.toml:2: nodes.login: address 172.16.0.0 of login "
                "is the address of the network 172.16.0.0/16 itself"
            ),
        ),
        (
            "[nodes.c]\ncount = 2\nfirst_address = '172.16.255.254'",
            "lab.toml:3: nodes.c: address 172.16.255.255 of c2 is the broadcast address of 172.16.0.0/16",
        ),
        (
            "[nodes.c]\ncount = 1\nfirst_address = '10.0.0.1'",
            "lab.toml:3: nodes.c: address 10.0.0.1 of c1 is not in 172.16.0.0/16",
        ),
        (
            "[nodes.c]\ncount = 1\nfirst_address = '172.16.2.2'",
            "lab.toml:3: nodes.c: address 172.16.2.2 of c1 belongs to g2",
        ),
        (
            "[nodes.login]\nmac = '00:00:00:00:00:00'",
            'lab.toml:2: nodes.login: MAC "00:00:00:00:00:00" is no address of a card: it has only zeros',
        ),
        (
            "[nodes.login]\nmac = 'FF:FF:FF:FF:FF:FF'",
            (
                'lab.toml:2: nodes.login: MAC "ff:ff:ff:ff:ff:ff" is a multicast address; '
                "the first pair must be even"
            ),
        ),
        (
            "[nodes.login]\nmac = '52:54:00:00:00:0a'\n[nodes.c]\nmacs = ['52:54:00:00:00:0A']",
            "lab.toml:4: nodes.c: MAC 52:54:00:00:00:0a of c1 belongs to login",
        ),
        (
            "[nodes.c]\nmacs = ['52:54:00:00:00:0a']\n[nodes.client]\nmac = '52:54:00:00:00:0A'",
            "lab.toml:4: nodes.client: MAC 52:54:00:00:00:0a of client belongs to c1",
        ),
    ],
)
def test_addresses_and_macs_that_cannot_work_are_refused_where_they_are_written(
    tmp_path: Path, text: str, line: str
) -> None:
    assert refusal(tmp_path, text) == [line]


@pytest.mark.parametrize(
    ("subnet", "runner"),
    [
        ("172.16.0.0/16", "172.16.0.99"),
        ("192.168.7.0/24", "192.168.7.253"),
        ("192.168.7.16/28", "192.168.7.29"),
    ],
)
def test_a_runner_has_an_address_that_no_client_changes(tmp_path: Path, subnet: str, runner: str) -> None:
    spec = built(tmp_path, INTERNAL.format(subnet), "runner.count=1")
    assert addresses(spec)["runner"] == runner
    assert len(set(addresses(spec).values())) == len(addresses(spec))
    assert {name: one for name, one in addresses(spec).items() if name != "runner"} == addresses(
        built(tmp_path, INTERNAL.format(subnet))
    )
