"""Two things are compared by what they cost, not by what stood in their way."""

import itertools
import time
from collections.abc import Callable, Iterator

import pytest

from vlbias.bench import Row, at_least, at_most, chosen
from vlbias.bench._timing import Ratio, alternate, seconds
from vlbias.errors import UnknownName


@pytest.fixture
def works() -> Callable[..., Ratio]:
    """Compares two works that take told seconds of a clock that only they move."""

    def compare(first_s: list[float], second_s: list[float], **given: object) -> Ratio:
        spent = [0.0]

        def work(each: Iterator[float]) -> Callable[[], None]:
            return lambda: spent.__setitem__(0, spent[0] + next(each))

        return alternate(work(iter(first_s)), work(iter(second_s)), clock=lambda: spent[0], **given)

    return compare


def test_a_ratio_is_that_of_the_minima_and_its_bounds_are_those_of_the_rounds(works) -> None:
    found = works([6.0, 3.0, 8.0], [1.0, 2.0, 4.0], rounds=3, warm_up=False)
    assert (found.value, found.low, found.high) == (3.0, 1.5, 6.0)
    assert found.first_s == (6.0, 3.0, 8.0) and found.second_s == (1.0, 2.0, 4.0)


def test_the_first_run_of_each_is_not_counted(works) -> None:
    assert works([90.0, 6.0], [1.0, 2.0], rounds=1).value == 3.0


def test_sleep_is_not_work() -> None:
    assert seconds(lambda: time.sleep(0.3)) < 0.15


def test_work_is_counted_as_long_as_it_is() -> None:
    def busy() -> None:
        until = time.process_time() + 0.05
        while time.process_time() < until:
            pass

    assert 0.05 <= seconds(busy) < 1


def test_the_two_take_turns() -> None:
    seen: list[str] = []
    ticks = itertools.count()  # a clock that never stands still
    alternate(lambda: seen.append("a"), lambda: seen.append("b"), rounds=2, clock=lambda: float(next(ticks)))
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
