"""Two things are compared by what they cost, not by what stood in their way."""

import time

import pytest

from vlbias.bench import Row, at_least, at_most, chosen
from vlbias.bench._timing import alternate
from vlbias.errors import UnknownName


def spin(loops: int) -> int:
    return sum(range(loops))


def test_three_times_the_work_is_a_ratio_near_three() -> None:
    found = alternate(lambda: spin(1_500_000), lambda: spin(500_000), rounds=4)
    assert 2 < found.value < 4.5
    assert found.low <= found.high
    assert len(found.first_s) == len(found.second_s) == 4


def test_sleep_is_not_work() -> None:
    def lazy() -> None:
        time.sleep(0.05)
        spin(500_000)

    assert alternate(lazy, lambda: spin(500_000), rounds=3).value < 2


def test_the_two_take_turns() -> None:
    seen: list[str] = []
    alternate(lambda: (seen.append("a"), spin(20_000)), lambda: (seen.append("b"), spin(20_000)), rounds=2)
    assert "".join(seen) == "ababab"


def test_no_round_is_refused() -> None:
    with pytest.raises(ValueError, match="found 0"):
        alternate(lambda: None, lambda: None, rounds=0)


def test_a_goal_is_met_at_its_very_value() -> None:
    row = Row(name="x", value=5.0, unit="x")
    assert at_least(5, row).ok and at_most(5, row).ok
    assert at_least(5.1, row) == Row(name="x", value=5.0, unit="x", goal=">= 5.1", ok=False)
    assert not at_most(4.9, row).ok


def test_rows_are_chosen_by_name_in_the_order_of_the_file() -> None:
    assert chosen(None, names=("a", "b", "c")) == ("a", "b", "c")
    assert chosen({"c", "a"}, names=("a", "b", "c")) == ("a", "c")
    with pytest.raises(UnknownName, match="did you mean sweep_a"):
        chosen({"sweep_b"}, names=("sweep_a",))
