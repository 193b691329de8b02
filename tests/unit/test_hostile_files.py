"""Files of a node that the harness reads, with anything in them: an answer of its type, or one error."""

from __future__ import annotations

import io
import json
import math
import tarfile
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.backends.archives import LARGEST, read_single_file, tar_single_file
from lab.backends.boot_stage import UNREADABLE
from lab.backends.docker.node_exec import parse_stage
from lab.backends.libvirt import console_log
from lab.cluster import availability
from lab.cluster.readiness import ClusterSnapshot, Reading, evaluate
from lab.cluster.sms_look import SmsReport, look_at_sms
from lab.config.loader import load
from lab.errors import LabError
from lab.facts import next_boot
from lab.hostile_json import read_json, text_of
from lab.model import BOOTED, NodeStatus, Power
from tests.hostile_text import STRINGS, assert_harmless

SPEC = load(None, (), {}, None)
ANY = st.text(st.characters()) | st.sampled_from([text[:5000] for text in STRINGS.values()])
WORDS = st.sampled_from(
    [
        "@@system",
        "@@nodes",
        "@@clock",
        "@@ready",
        "NodeName=c1",
        "CPUTot=",
        "State=",
        "Reason=",
        " ",
        "\n",
        "9" * 30,
    ]
)
OUTPUT = st.lists(WORDS | ANY, max_size=12).map("".join)
DEEP, HUGE = "[" * 200_000, "9" * 10_000
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY,
    lambda inner: st.lists(inner) | st.dictionaries(ANY, inner),
)
SENSELESS = [
    DEEP,
    '{"a":' * 100_000,
    HUGE,
    f'{{"result": {HUGE}}}',
    '{"result": NaN}',
    '{"result": 1e999}',
    '"\\ud800"',
    "",
    "\0",
    "null",
    "7",
]


# the boot stage


@given(ANY, st.integers(0, 2**34))
def test_a_stage_is_a_word_a_line_and_a_time(text: str, now: int) -> None:
    line = f"c1 {now} {text}".split("\n", maxsplit=1)[0]
    node, status = parse_stage(line)
    assert (node, status.name) == ("c1", "c1")
    assert_status(status)


@given(st.binary() | ANY.map(lambda text: text.encode("utf-8", "replace")))
def test_a_console_tells_a_stage_whatever_is_on_it(text: bytes) -> None:
    for log in (
        text,
        b"SeaBIOS (version 1)" + text,
        b"\x1b]7337;" + text + b"\x07",
        b"\x1b]7337;init " + text + b"\x07",
    ):
        assert_status(console_log.stage_of("c1", "52:54:00:00:00:01", log, 1e9))
        console_log.booted_at(log)
        console_log.serves(log)


def assert_status(status: NodeStatus) -> None:
    assert len(status.stage) <= 32
    assert len(status.detail) <= 200
    assert_harmless(f"{status.stage} {status.detail}", of_node=True)
    assert status.since is None or (math.isfinite(status.since) and status.since >= 0)


@pytest.mark.parametrize("text", ["\x1b[2J 5", "A" * 1_000_000, "in\x85it 5", "../init 5", "ïnit 5"])
def test_what_is_no_word_is_no_stage(text: str) -> None:
    assert parse_stage(f"c1 9 {text}")[1].stage == UNREADABLE


@pytest.mark.parametrize("since", ["1e999", "nan", "-5", "٣", "9" * 400, "1_000"])
def test_what_is_no_time_is_none(since: str) -> None:
    assert parse_stage(f"c1 9 init {since}")[1].since is None


@pytest.mark.parametrize(
    "part", [b"\x1b]7337;", b"\x1b]7337;a 1 ", b"No such file ", b"Configuring (net0", b"Now booting "]
)
def test_a_console_full_of_beginnings_is_read_in_a_moment(part: bytes) -> None:
    began = time.process_time()
    console_log.stage_of("c1", "", part * (console_log.TAIL // len(part)), 1e9)
    assert time.process_time() - began < 3


# what the SMS answers, its /run/rackling/ready and its note of who was in service


@given(st.integers(-1, 255), OUTPUT)
@settings(max_examples=300)
def test_a_look_at_the_sms_ends_in_a_report_or_an_error(status: int, output: str) -> None:
    try:
        report = look_at_sms().read(status, output)
    except LabError:
        return
    assert isinstance(report, SmsReport)
    assert_readings(report)


@given(
    st.builds(
        SmsReport, system=ANY, ready=ANY | VALUES.map(json.dumps), dhcp=ANY, controller=ANY, service=ANY
    )
)
def test_whatever_it_answers_every_node_has_a_reading(report: SmsReport) -> None:
    assert_readings(report)


@pytest.mark.parametrize("ready", SENSELESS)
def test_a_senseless_ready_file_is_unknown_in_words(ready: str) -> None:
    report = SmsReport(system="running", ready=ready or " ", dhcp="active")
    sms = assert_readings(report)
    assert (sms.probe, sms.answer.value) == ("set up", "unknown")


def assert_readings(report: SmsReport) -> Reading:
    statuses = {node.name: NodeStatus(node.name, Power.ON, BOOTED, "", 5.0) for node in SPEC.nodes}
    view = ClusterSnapshot(statuses, report, {"login": report.system}, powered=frozenset({"c1"}))
    readings = evaluate(SPEC, view, [node.name for node in SPEC.nodes])
    for reading in readings:
        assert len(reading.evidence) <= 400
        assert "\n" not in reading.evidence
        assert_harmless(f"{reading.node}: {reading.evidence}")
    return readings[0]


@given(ANY | VALUES.map(json.dumps))
def test_a_note_of_anything_is_of_known_states_in_one_line(text: str) -> None:
    for found in (
        availability.read(text, "kept"),
        availability.read(f'{{"snapshot": "kept", "nodes": {text}}}', "kept"),
    ):
        for state in found.values():
            assert state.out in ("", "down", "drain")
            assert_harmless(f"reason: {state.reason}")


@pytest.mark.parametrize("out", ["down; touch /tmp/x", "down\n", 7, None, ["down"]])
def test_a_note_becomes_no_other_command(out: object) -> None:
    note = {"snapshot": "kept", "nodes": {"c1": {"out": out, "reason": "fan"}}}
    assert availability.read(json.dumps(note), "kept") == {}


@pytest.mark.parametrize("text", SENSELESS)
def test_senseless_json_is_one_kind_of_error(text: str) -> None:
    with pytest.raises((ValueError, TypeError, KeyError)):
        text_of(read_json(text)["result"])
    assert availability.read(text, "kept") == {}
    with pytest.raises(LabError):
        next_boot.bootstrap("x").read(0, f"{{{text}")


@given(VALUES)
def test_json_is_read_as_it_is_or_refused(value: object) -> None:
    try:
        found = read_json(json.dumps(value))
    except ValueError:
        return
    assert found == value
    json.dumps(found, ensure_ascii=False, allow_nan=False).encode()


# the SMS's cluster.json, as the engine hands it over


@given(st.binary() | st.binary().map(lambda data: tar_single_file("cluster.json", "x")[:700] + data))
def test_any_archive_is_read_or_is_none(data: bytes) -> None:
    found = read_single_file([data])
    assert found is None or isinstance(found, bytes)


def test_a_file_that_is_too_large_is_not_taken_to_its_end() -> None:
    taken = 0

    def chunks() -> Iterator[bytes]:
        nonlocal taken
        yield tar_single_file("cluster.json", "x")[:512]
        while taken < 200 << 20:
            taken += 1 << 16
            yield bytes(1 << 16)

    assert read_single_file(chunks()) is None
    assert taken < 2 * LARGEST


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE]
)
def test_what_is_no_plain_file_is_none(kind: bytes) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo("cluster.json")
        entry.type, entry.linkname = kind, "/etc/shadow"
        archive.addfile(entry)
    assert read_single_file([buffer.getvalue()]) is None
