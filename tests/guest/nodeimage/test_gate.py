"""`configure` and `test` up to the programs they need; tests/pipeline has the programs themselves.

The reports are recordings of ansible-core 2.19, pytest 8 and testinfra 10, shortened.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lab.guest.nodeimage import configure, controls, goss, junit
from lab.guest.system import Outcome, System
from tests.guest.nodeimage.bed import Bed

TESTED = 'name = "compute"\n'
ANSIBLE = """\
<?xml version="1.0" ?>
<testsuites disabled="0" errors="1" failures="0" tests="4" time="14.8">
  <testsuite disabled="0" errors="1" failures="0" name="playbook" skipped="0" tests="4" time="14.8">
    <testcase classname="/r/playbook.yml:4" name="[/t] all: No root login" time="3.6">
      <system-out>{
&quot;changed&quot;: true,
&quot;state&quot;: &quot;file&quot;
}</system-out>
    </testcase>
    <testcase classname="/r/playbook.yml:9" name="[/t] all: Cron runs" time="3.7">
      <system-out>{
&quot;changed&quot;: false,
&quot;enabled&quot;: true,
&quot;name&quot;: &quot;cron&quot;,
&quot;state&quot;: &quot;started&quot;,
&quot;status&quot;: {}
}</system-out>
    </testcase>
    <testcase classname="/r/playbook.yml:14" name="[/t] all: Cron by service" time="5.2">
      <system-out>{
&quot;changed&quot;: false,
&quot;name&quot;: &quot;cron&quot;,
&quot;state&quot;: &quot;started&quot;,
&quot;status&quot;: {}
}</system-out>
    </testcase>
    <testcase classname="/r/playbook.yml:18" name="[/t] all: Fails: always" time="2.1">
      <error message="Task failed: Module failed: non-zero return code">(traceback missing)</error>
    </testcase>
  </testsuite>
</testsuites>
"""
OUTPUT = """\
TASK [Ignored] ***
fatal: [/t]: FAILED! => {"changed": false, "msg": "first"}
...ignoring

TASK [Fails] ***
fatal: [/t]: FAILED! => {"changed": true, "msg": "non-zero return code", "stderr": "why"}

PLAY RECAP *********************************************************************
/t    : ok=3    changed=1    unreachable=0    failed=1    skipped=0    rescued=0    ignored=0
"""
PYTEST = """\
<?xml version="1.0" encoding="utf-8"?><testsuites name="pytest tests"><testsuite name="pytest" tests="3">
<testcase classname="tests.test_ssh" name="test_root_login[chroot:///t]" time="0.027">
<failure message="assert 420 == 384">host = &lt;testinfra.host.Host&gt;

    def test_root_login(host):
        file = host.file("/etc/x")
&gt;       assert file.mode == 0o600
E       assert 420 == 384
E        +  where 420 = &lt;file /etc/x&gt;.mode

/r/tests/test_ssh.py:5: AssertionError</failure></testcase>
<testcase classname="tests.test_ssh" name="test_ok[chroot:///t]" time="0.003" />
<testcase classname="tests.test_ssh" name="test_left[chroot:///t]">
<skipped message="no" /></testcase>
</testsuite></testsuites>
"""


def report(tmp_path: Path, text: str) -> list[junit.Case]:
    (tmp_path / "report.xml").write_text(text)
    return junit.read(str(tmp_path / "report.xml"))


def test_a_failed_task_has_its_name_and_place(tmp_path: Path) -> None:
    cases = report(tmp_path, ANSIBLE)
    assert [case.outcome for case in cases] == ["passed", "passed", "passed", "failed"]
    assert configure._task(cases[-1]) == "Fails: always"
    assert configure._at(cases[-1]) == "/r/playbook.yml, line 18"
    assert [configure._task(case) for case in cases if configure._seems_started(case)] == ["Cron by service"]


def test_the_message_is_that_of_the_last_failed_task() -> None:
    assert configure._fatal(OUTPUT)["stderr"] == "why"
    assert configure._fatal("fatal: [/t]: FAILED! => {broken}\n") == {}


def test_a_failed_control_has_what_was_expected_and_found(tmp_path: Path) -> None:
    found = [controls.control(case, "/r") for case in report(tmp_path, PYTEST)]
    assert [one.outcome for one in found] == ["failed", "passed", "skipped"]
    assert list(found[0].lines()) == [
        "tests.test_ssh.test_root_login (tests/test_ssh.py, line 5)",
        "  expected: file.mode == 0o600",
        "  found:    420 == 384",
    ]


@pytest.mark.parametrize("text", ["", "<a>", "no xml"])
def test_a_report_that_is_none_has_no_cases(tmp_path: Path, text: str) -> None:
    assert report(tmp_path, text) == []
    assert junit.read("/nonexistent") == []


def test_results_of_goss() -> None:
    """In the form of goss 0.3 and of 0.4 (its resource/validate.go)."""
    about = {"resource-type": "File", "resource-id": "/etc/x", "property": "mode"}
    results = [
        {**about, "successful": True, "result": 0},
        {**about, "successful": False, "result": 1, "expected": ["0600"], "found": ["0644"], "err": None},
        {
            **about,
            "successful": False,
            "matcher-result": {"expected": "0600", "actual": "0644", "message": "to equal"},
        },
        {**about, "successful": True, "skipped": True, "result": 2},
    ]
    found = [goss._control(one) for one in goss._results(json.dumps({"results": results}).encode())]
    assert [one.outcome for one in found] == ["passed", "failed", "failed", "skipped"]
    assert [(one.expected, one.found) for one in found[1:3]] == [('["0600"]', '["0644"]'), ("0600", "0644")]
    assert found[0].name == "File /etc/x: mode"
    assert goss._results(b"panic: x") == []


def test_the_order_in_which_goss_ends_its_controls_changes_no_image(
    bed: Bed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """goss runs them side by side, and an image's manifest holds them."""
    (bed.folder / "goss.yaml").write_text("file: {}\n")
    bed.commit(TESTED)
    (tmp_path / "goss").write_text("program")
    which = shutil.which
    monkeypatch.setattr(
        "shutil.which", lambda name: str(tmp_path / "goss") if name == "goss" else which(name)
    )
    results = [{"resource-type": "File", "resource-id": f"/etc/{n}", "successful": True} for n in range(9)]
    kept, run = [], System.run
    for order in (results, results[::-1]):

        def said(
            system: System, words: Sequence[str], *rest: Any, order: Any = order, **more: Any
        ) -> Outcome:
            if "--gossfile" not in words:
                return run(system, words, *rest, **more)
            return Outcome(0, json.dumps({"results": order}).encode(), b"")

        monkeypatch.setattr(System, "run", said)
        bed.must("test", str(bed.folder))
        kept.append(Path(bed.places.role("compute", "artefacts", "tests.json")).read_bytes())
        kept.append(json.dumps(bed.pack()["tests"]).encode())
    assert kept[:2] == kept[2:]
    assert b"/etc/8" in kept[0]


def test_goss_is_lent_to_the_tree_and_taken_back(bed: Bed, tmp_path: Path) -> None:
    (tmp_path / "goss").write_text("program")
    with goss._lent(str(bed.tree), str(tmp_path / "goss"), b"file: {}\n") as inside:
        assert (bed.tree / inside.lstrip("/") / "goss").read_text() == "program"
    assert [path.name for path in (bed.tree / "tmp").iterdir()] == ["junk"]


@pytest.mark.parametrize(
    ("verb", "file", "said"),
    [
        ("configure", "playbook.yml", "ansible-playbook is not installed\nhint: apt install ansible"),
        ("test", "tests/test_a.py", "pytest is not installed\nhint: apt install python3-testinfra"),
        ("test", "goss.yaml", "goss is not installed\nhint: apt install goss (Debian 13)"),
    ],
)
def test_a_missing_program_is_one_error_with_what_to_install(
    bed: Bed, monkeypatch: pytest.MonkeyPatch, verb: str, file: str, said: str
) -> None:
    path = bed.folder / file
    path.parent.mkdir(exist_ok=True)
    path.write_text("x")
    bed.commit(TESTED)
    monkeypatch.setattr("shutil.which", lambda *_: None)
    assert f"error: {said}" in bed.refuses(16, verb, str(bed.folder))


def test_a_tree_without_python_cannot_be_configured(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    (bed.folder / "playbook.yml").write_text("- hosts: all\n")
    bed.commit(TESTED)
    monkeypatch.setattr("shutil.which", lambda *_: "/bin/true")
    said = bed.refuses(16, "configure", str(bed.folder))
    assert 'hint: add "python3" to [tree] packages' in said


def test_a_role_without_tests_says_so_or_is_refused(bed: Bed) -> None:
    assert bed.must("test", str(bed.folder))["passed"] == 0
    bed.commit(TESTED)
    assert "the role compute has no tests" in bed.refuses(2, "test", str(bed.folder))


def test_nothing_to_configure_is_no_failure(bed: Bed) -> None:
    assert bed.must("configure", str(bed.folder))["tasks"] == 0


@pytest.mark.parametrize("verb", ["configure", "test"])
def test_only_root_enters_a_tree(bed: Bed, verb: str) -> None:
    assert bed.run(verb, str(bed.folder), uid=1000).status == 1


def test_lines_of_a_program_are_followed_as_they_come() -> None:
    seen: list[str] = []
    script = "echo out; echo err >&2; cat; exit 3"
    done = System().follow(["sh", "-c", script], seen.append, {"PATH": "/usr/bin:/bin"})
    assert (done.status, seen) == (3, ["out", "err"])
    assert System().follow(["/nonexistent"], seen.append, {}).status == 127
