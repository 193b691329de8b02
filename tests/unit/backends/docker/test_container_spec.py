"""What containers are made of, and what the switch's words mean: no engine asked."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from lab.backends.docker import container_spec, engine
from lab.backends.docker.backend import DockerBackend
from lab.backends.docker.container_spec import (
    FIRST_ID,
    cables,
    chassis_of,
    host_config,
    own_ids,
    processor_time,
    switch_host_config,
)
from lab.backends.docker.node_exec import parse_stage
from lab.config.loader import load
from lab.errors import UsageError
from lab.model import ClusterSpec, NodeStatus, Power, Root
from lab.paths import PACKAGE, data_folder

SPEC = load(None, (), {}, "mine")


def made(name: str, spec: ClusterSpec = SPEC) -> container_spec.Chassis:
    return chassis_of(spec, spec.node(name), "sha256:image")


def test_sms_boots_from_its_disk_with_the_labs_storage_beside_it() -> None:
    sms = made("sms")
    assert sms.environment["LAB_BOOT"] == "disk"
    assert sms.binds == (
        "rackling-mine-home:/volumes/home",
        "rackling-mine-pub:/volumes/opt/ohpc/pub",
        "rackling-mine-identity:/volumes/var/lib/rackling",
        "rackling-mine-disks:/disks",
    )


@pytest.mark.parametrize("sets", [(), ("trust=nobody",), ("root=overlay",)])
def test_no_volume_is_mounted_on_a_disk(sets: tuple[str, ...]) -> None:
    """The engine follows links there into the chassis, each time that it starts the container."""
    spec = load(None, sets, {}, "mine")
    disks = {"/disk", "/outside"}
    places = [bind.partition(":")[2] for node in spec.nodes for bind in made(node.name, spec).binds]
    assert len(places) > len(spec.nodes)
    assert [place for place in places if f"/{place.split('/')[1]}" in disks] == []


def test_the_others_boot_from_the_network_and_never_see_the_labs_identity() -> None:
    for name in ("login", "c1", "g2"):
        node = made(name)
        assert node.environment["LAB_BOOT"] == "network"
        assert node.environment["LAB_SMS"] == str(SPEC.sms.address)
        assert not [bind for bind in node.binds if "identity" in bind]


def test_a_node_boots_from_its_card_on_the_internal_network() -> None:
    assert made("sms").environment["LAB_BOOT_CARD"] == "eth1"
    assert made("c1").environment["LAB_BOOT_CARD"] == "eth0"


def test_machines_of_no_cluster_see_no_images_and_no_disks() -> None:
    assert made("outside").binds == ()
    assert made("client").binds == (
        "rackling-mine-home:/shared/home",
        "rackling-mine-pub:/shared/opt/ohpc/pub",
    )


def test_a_runner_has_a_disk_of_its_own_and_sees_no_storage_of_the_cluster() -> None:
    spec = load(None, ("runner.count=1",), {}, "mine")
    runner = made("runner", spec)
    assert runner.binds == ()
    assert runner.environment["LAB_BOOT"] == "runner"
    assert runner.environment["LAB_EXTERNAL"] == "eth0=172.16.0.99/16"
    assert "172.16.0.1 sms" in runner.environment["LAB_NAMES"].split(";")
    assert "172.16.0.99 runner" in made("client", spec).environment["LAB_NAMES"].split(";")


def test_a_chassis_may_change_its_root_and_look_into_no_kernel() -> None:
    options = host_config(made("c1"), 2)["security_opt"]
    (told,) = (option.removeprefix("seccomp=") for option in options if option.startswith("seccomp="))
    profile = json.loads(told)
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
    assert {rule["action"] for rule in profile["syscalls"]} == {"SCMP_ACT_ALLOW"}
    allowed = {name for rule in profile["syscalls"] if "args" not in rule for name in rule["names"]}
    assert {"pivot_root", "mount", "openat2", "clone3", "seccomp"} <= allowed
    refused = """acct add_key bpf clock_settime delete_module finit_module init_module io_uring_setup
        ioperm iopl kexec_file_load kexec_load keyctl open_by_handle_at perf_event_open quotactl
        request_key settimeofday
        swapoff swapon syslog userfaultfd"""
    assert not allowed & set(refused.split())


def test_names_of_two_labs_never_meet() -> None:
    other = load(None, (), {}, "other")
    mine = {bind.partition(":")[0] for name in ("sms", "c1") for bind in made(name).binds}
    theirs = {bind.partition(":")[0] for name in ("sms", "c1") for bind in made(name, other).binds}
    assert not mine & theirs


@pytest.mark.parametrize(
    "change", [{"memory": 4096}, {"cpus": 7}, {"gpus": 3}], ids=["memory", "processors", "gpus"]
)
def test_profile_changes_with_the_hardware(change: dict[str, int]) -> None:
    node = SPEC.node("c1")
    assert chassis_of(SPEC, replace(node, **change), "x").profile != made("c1").profile  # type: ignore[arg-type]


def test_profile_stays_when_only_the_image_or_the_registration_changes() -> None:
    node = replace(SPEC.node("c1"), registered=False)
    assert chassis_of(SPEC, node, "sha256:other").profile == made("c1").profile
    assert chassis_of(replace(SPEC, root=Root.OVERLAY), node, "x").profile != made("c1").profile


def test_a_chassis_is_bounded_and_never_privileged() -> None:
    config = host_config(made("c1"), host_cpus=64)
    assert "privileged" not in config
    assert config["network_mode"] == "none"
    assert config["mem_limit"] == config["memswap_limit"] == SPEC.node("c1").memory << 20
    assert config["pids_limit"] > 0
    needed = {"SYS_ADMIN", "NET_ADMIN", "SYS_BOOT", "SYS_TIME", "SYS_NICE", "SYS_PTRACE"}
    assert set(config["cap_add"]) <= needed


def test_what_a_node_prints_fills_little_of_the_hosts_disk() -> None:
    """Docker's manual, "JSON File logging driver": without max-size, a log grows without end."""
    logs = [
        config["log_config"] for config in (host_config(made("c1"), host_cpus=4), switch_host_config("mine"))
    ]
    assert [log["type"] for log in logs] == ["json-file"] * 2
    assert [log["config"] for log in logs] == [
        {"max-size": "1m", "max-file": "2"},
        {"max-size": "100k", "max-file": "1"},
    ]


def test_processor_time_is_limited_only_below_the_hosts_own() -> None:
    assert processor_time(2, 8) == {"cpu_period": 100_000, "cpu_quota": 200_000}
    assert processor_time(8, 8)["cpu_quota"] == processor_time(9, 8)["cpu_quota"] == -1


def test_the_switch_sees_storage_and_no_identity() -> None:
    config = switch_host_config("mine")
    assert config["pid_mode"] == "host"
    assert not [bind for bind in config["binds"] if "identity" in bind]


def test_cables_name_each_card_with_its_mac_and_network() -> None:
    sms = SPEC.sms
    words = cables(sms, 4711)
    assert [words[i : i + 5] for i in range(0, len(words), 5)] == [
        ["4711", "sms", card.name, card.mac, card.network] for card in sms.interfaces
    ]
    assert len(words) == 10


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("c1 1795000060 init 1795000000", NodeStatus("c1", Power.ON, "init", "", 60.0)),
        ("c1 1795000060 init 1795000000 ", NodeStatus("c1", Power.ON, "init", "", 60.0)),
        (
            "login 10 pxe 8 no DHCP answer for 52:54:00:00:00:01: registered?",
            NodeStatus("login", Power.ON, "pxe", "no DHCP answer for 52:54:00:00:00:01: registered?", 2.0),
        ),
        ("c2 100 off 100", NodeStatus("c2", Power.OFF, "off", "", 0.0)),
        ("c2 100 post 101", NodeStatus("c2", Power.ON, "post", "", 0.0)),  # a clock that was set back
        ("c2 100 post soon", NodeStatus("c2", Power.ON, "post", "", None)),
        ("c2 100 ", NodeStatus("c2", Power.ON, "", "", None)),  # looked at while it was written
    ],
)
def test_stage_lines(line: str, status: NodeStatus) -> None:
    assert parse_stage(line) == (status.name, status)


def test_a_stranger_boots_from_its_own_tree_and_knows_external_names() -> None:
    found = chassis_of(SPEC, SPEC.node("outside"), "image").environment
    assert (found["LAB_BOOT"], found["LAB_BOOT_CARD"]) == ("own", "eth0")
    assert found["LAB_EXTERNAL"] == "eth0=203.0.113.66/24"
    assert chassis_of(SPEC, SPEC.node("outside"), "image").binds == ()
    assert found["LAB_NAMES"] == "203.0.113.10 sms;203.0.113.11 login;203.0.113.66 outside"


def test_a_client_boots_the_smss_tree_with_an_address_and_home_directories() -> None:
    found = chassis_of(SPEC, SPEC.node("client"), "image")
    assert (found.environment["LAB_BOOT"], found.environment["LAB_EXTERNAL"]) == (
        "client",
        "eth0=172.16.0.100/16",
    )
    names = found.environment["LAB_NAMES"].split(";")
    assert {"172.16.0.1 sms", "172.16.1.1 c1"} <= set(names)
    assert not any(name.endswith(" outside") for name in names)
    assert any(bind.endswith(":/shared/home") for bind in found.binds)
    assert not any("rackling" in bind.partition(":")[2] for bind in found.binds), "no key of the lab's"


def test_external_cards_come_with_an_address_but_the_sms_sees_to_its_own() -> None:
    login = chassis_of(SPEC, SPEC.node("login"), "image").environment
    assert login["LAB_EXTERNAL"] == "eth1=203.0.113.11/24"
    for name in ("sms", "c1"):
        assert "LAB_EXTERNAL" not in chassis_of(SPEC, SPEC.node(name), "image").environment


def test_a_containers_console_cannot_be_typed_into_and_a_shell_is_offered() -> None:
    with pytest.raises(UsageError) as caught:
        DockerBackend().attach("mine", "c1")
    assert caught.value.hint == "lab shell c1"


NOBODY = load(None, ("trust=nobody",), {}, "mine")
DEFAULT_OF_DOCKER = """chown dac_override fowner fsetid kill setgid setuid setpcap net_bind_service
    net_raw sys_chroot mknod audit_write setfcap"""
"""Capabilities of a container to which none were added (Docker's manual, "Runtime privilege")."""


def test_every_chassis_of_a_lab_whose_root_is_nobody_knows_its_ids() -> None:
    for node in NOBODY.nodes:
        assert made(node.name, NOBODY).environment["LAB_IDS"] == str(FIRST_ID)
        assert "LAB_IDS" not in made(node.name).environment
    assert (own_ids(NOBODY), own_ids(SPEC)) == ({"LAB_IDS": str(FIRST_ID)}, {})


def test_root_who_is_nobody_gets_no_disk_and_no_device() -> None:
    node = made("c1", NOBODY)
    assert (made("c1").environment["LAB_DISK"], node.environment["LAB_DISK"]) == ("20", "0")
    assert host_config(made("c1"), 2)["device_cgroup_rules"]
    assert host_config(node, 2)["device_cgroup_rules"] == []


def test_images_say_where_their_chassis_has_the_volumes() -> None:
    for name in ("chassis", "sms"):
        text = (data_folder("containers") / name / "Containerfile").read_text()
        assert f"LABEL {engine.VOLUMES}={container_spec.VOLUMES_AT}\n" in text
    boot = (PACKAGE / "guest/files/chassis/boot").read_text()
    assert f'mount --bind "{container_spec.VOLUMES_AT}/$path" "$place"' in boot


def test_images_are_shifted_to_the_ids_that_nodes_have() -> None:
    for name in ("chassis", "sms"):
        text = (data_folder("containers") / f"{name}-nobody" / "Containerfile").read_text()
        assert f"/chassis/shift {FIRST_ID} " in text


def test_a_user_namespace_gives_a_node_no_capability_that_its_chassis_lacks() -> None:
    text = (PACKAGE / "guest/files/chassis/own_ids.sh").read_text()
    listed = re.findall(r"^BOUNDS=(?:\$BOUNDS,)?(\S+)", text, re.MULTILINE)
    kept = {name.lower() for name in container_spec.CAPABILITIES} - {"sys_time", "sys_ptrace"}
    assert set(",".join(listed).split(",")) == kept | set(DEFAULT_OF_DOCKER.split())
