"""The benchmark's arithmetic and its table."""

from __future__ import annotations

import pytest

from tests.bench.figures import BEGIN, END, Figure, number, ratio, replaced, table


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


def test_replaced_keeps_everything_outside_the_marks() -> None:
    once = replaced(f"head\n{BEGIN}\nold\n{END}\ntail\n", ["", "new", ""])
    assert once == f"head\n{BEGIN}\n\nnew\n\n{END}\ntail\n"
    assert replaced(once, ["", "new", ""]) == once


def test_replaced_refuses_a_document_without_marks() -> None:
    with pytest.raises(ValueError, match="figures"):
        replaced(f"head {END} {BEGIN}", ["new"])
