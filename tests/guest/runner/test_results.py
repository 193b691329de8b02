"""What pipelines leave is kept and shown; none of it is followed, run, or endless."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lab.guest.runner import results, web
from lab.guest.runner.results import Result
from tests.guest.runner.bed import Bed

KEEP = "mkdir -p .gitlab-ci-local/artifacts/job && cd .gitlab-ci-local/artifacts/job &&"


def record(number: int) -> Result:
    return Result(number, "compute", "main", "a" * 40, "a", "subject", 0.0)


def test_artefacts_are_kept_and_listed(bed: Bed) -> None:
    bed.commit(f"{KEEP} mkdir sub && echo '<suite/>' >sub/junit.xml")
    bed.push()
    assert bed.result(1).artefacts == ["job/sub/junit.xml"]
    assert bed.kept(1, "artefacts/job/sub/junit.xml").read_text() == "<suite/>\n"
    assert 'href="artefacts/job/sub/junit.xml"' in bed.kept(1, "index.html").read_text()


def test_links_pipes_and_what_is_too_large_are_left_out(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "MOST_BYTES", 100)
    secret = bed.root / "secret"
    secret.write_text("key")
    bed.commit(f"{KEEP} ln -s {secret} a; ln -s {bed.root} b; mkfifo c; head -c 101 /dev/zero >d; echo e >e")
    bed.push()
    assert bed.result(1).artefacts == ["job/e"]
    assert bed.result(1).left_out == 3
    assert not bed.kept(1, "artefacts/job/a").exists()
    assert "3 artefacts were not kept" in bed.kept(1, "index.html").read_text()


def test_names_of_artefacts_are_text(bed: Bed) -> None:
    bed.commit(f"""{KEEP} echo x >'<b>&"x'; printf y >"$(printf 'a\\033b')" """)
    bed.push()
    page = bed.kept(1, "index.html").read_text()
    assert "&lt;b&gt;&amp;&quot;x" in page
    assert "<b>" not in page
    assert bed.result(1).left_out == 1


def test_the_oldest_results_go(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "KEPT", 2)
    for number in (8, 9, 10):
        results.write(bed.system, record(number))
    assert sorted(path.name for path in bed.kept(10, "..").iterdir()) == ["10", "9", "index.html"]
    assert results.next_number(bed.system) == 11


def test_a_damaged_record_hides_no_other(bed: Bed) -> None:
    for number in (1, 2):
        results.write(bed.system, record(number))
    bed.kept(1, results.RECORD).write_text("{")
    results.write_list(bed.system)
    assert "/2/" in bed.kept(1, "../index.html").read_text()


@contextmanager
def served(bed: Bed) -> Iterator[int]:
    server = web.server(bed.system, 0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_web_server_runs_nothing_that_a_pipeline_made(bed: Bed) -> None:
    bed.commit(f"{KEEP} echo '<script>alert(1)</script>' | tee index.html >x.svg")
    bed.push()
    with served(bed) as port:
        found = {path: ask(port, path) for path in ("/", "/1/", "/1/log.txt", "/1/artefacts/job/index.html")}
        found["svg"] = ask(port, "/1/artefacts/job/x.svg")
        missing = [
            ask(port, path)[0] for path in ("/1/artefacts/", "/../../../etc/passwd", "/2/", "/1/nothing")
        ]
    assert [kind for _, kind, _ in found.values()] == [
        "text/html; charset=utf-8", "text/html; charset=utf-8", *["text/plain; charset=utf-8"] * 3,
    ]  # fmt: skip
    assert all(policy.endswith("sandbox") for _, _, policy in found.values())
    assert missing == [404, 404, 404, 404]


def ask(port: int, path: str) -> tuple[int, str, str]:
    """Status, type and policy of an answer."""
    asked = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    asked.request("GET", path)
    answer = asked.getresponse()
    answer.read()
    asked.close()
    head = answer.headers
    assert head["X-Content-Type-Options"] == "nosniff"
    return answer.status, head["Content-Type"], head["Content-Security-Policy"]
