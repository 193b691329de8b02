"""The benchmark's arithmetic and its table."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench import fetching, sackd
from tests.bench.figures import Figure, number, ratio, replaced, table


def test_a_promise_is_judged_by_the_median() -> None:
    assert Figure("x", "s", 2, (1, 2, 90)).kept is True
    assert Figure("x", "s", 2, (1, 2.1, 90)).kept is False
    assert Figure("x", "s", None, (1,)).kept is None


@pytest.mark.parametrize(
    ("value", "text"), [(0.123, "0.12"), (9.99, "9.99"), (10.04, "10.0"), (99.94, "99.9"), (123.4, "123")]
)
def test_numbers_keep_three_digits(value: float, text: str) -> None:
    assert number(value) == text


def test_ratio_divides_the_medians() -> None:
    upper, lower = Figure("a", "s", None, (1, 2, 3)), Figure("b", "s", None, (4, 8, 9))
    assert ratio("a over b", 0.2, upper, lower).values == (0.25,)


def test_table_shows_promise_range_and_verdict() -> None:
    lines = table([Figure("a", "s", 2, (1, 3, 3)), Figure("b", "s", None, (1,))]).splitlines()
    assert lines[2] == "| a | ≤ 2.00 s | 3.00 s | 1.00–3.00 | 3 | **missed** |"
    assert lines[3] == "| b |  | 1.00 s |  | 1 |  |"
    assert {line.count("|") for line in lines} == {7}


BEGIN, END = "<!-- figures of docker: begin -->", "<!-- figures of docker: end -->"


def test_replaced_keeps_everything_outside_the_marks() -> None:
    once = replaced(f"head\n{BEGIN}\nold\n{END}\ntail\n", ["", "new", ""], "docker")
    assert once == f"head\n{BEGIN}\n\nnew\n\n{END}\ntail\n"
    assert replaced(once, ["", "new", ""], "docker") == once


def test_replaced_refuses_a_document_without_marks() -> None:
    with pytest.raises(ValueError, match="figures"):
        replaced(f"head {END} {BEGIN}", ["new"], "docker")


def fetching_shell(script: str, **more: object) -> fetching.Way:
    return fetching.Way("it", ["/bin/sh", "-c", script], **more)  # type: ignore[arg-type]


def test_a_fetch_is_over_when_every_file_has_its_size(tmp_path: Path) -> None:
    place = tmp_path / "conf"
    script = f"mkdir {place}; printf a >{place}/one; sleep 0.2; printf bb >{place}/two"
    cost = fetching.measured(fetching_shell(script), str(place), {"one": 1, "two": 2})
    assert cost.wall > 0.2
    assert cost.memory == 0


def test_a_daemon_is_measured_while_it_lives_and_ended(tmp_path: Path) -> None:
    place = tmp_path / "conf"
    script = f"mkdir {place}; printf a >{place}/one; exec sleep 60"
    cost = fetching.measured(fetching_shell(script, daemon=True), str(place), {"one": 1})
    assert cost.wall < 60
    assert cost.memory > 0


def test_a_program_that_brings_half_of_it_is_no_measurement(tmp_path: Path) -> None:
    place = tmp_path / "conf"
    script = f"mkdir {place}; printf a >{place}/one"
    with pytest.raises(SystemExit, match="it ended with status 0 and brought not every file"):
        fetching.measured(fetching_shell(script), str(place), {"one": 1, "two": 2})


def test_a_token_is_given_to_whom_it_belongs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JWT", "secret")
    assert "SLURM_JWT" not in fetching.afresh(fetching_shell(""), str(tmp_path / "conf"))
    assert "SLURM_JWT" in fetching.afresh(fetching_shell("", token=True), str(tmp_path / "conf"))


def test_a_row_is_a_multiple_of_the_base() -> None:
    base = sackd.row("sackd", [fetching.Cost(0.010, 0.004, 4096), fetching.Cost(0.012, 0.004, 4096)])
    assert sackd.row("siphon", [fetching.Cost(wall, 0.02, 10240) for wall in (0.5, 0.04, 0.025)]).cells(
        base
    ) == ("| siphon | 40.0 ms | 25.0 ms | 2.50× | 20.0 ms | 10.0 MB |")
