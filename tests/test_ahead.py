"""Work done in advance comes in order, within its bound, and stops when nobody wants it any more."""

import threading

import pytest

from vlbias.ahead import ahead


def test_results_come_in_the_order_of_their_items_and_one_at_a_time() -> None:
    running, most = [], []

    def work(k: int) -> int:
        running.append(k)
        most.append(len(running))
        running.remove(k)
        return k * k

    assert list(ahead(range(20), work, depth=3)) == [k * k for k in range(20)]
    assert max(most) == 1


def test_the_next_item_is_done_while_the_last_one_is_used() -> None:
    done = [threading.Event() for _ in range(4)]
    found = ahead(range(4), lambda k: done[k].set(), depth=1)
    next(found)
    assert done[1].wait(5)
    assert not done[2].wait(0.05), "no more than the bound is done in advance"
    next(found)
    assert done[2].wait(5)
    found.close()


def test_what_the_work_raises_is_raised_at_its_own_turn() -> None:
    found = ahead([1, 0, 2], lambda k: 1 // k, depth=2)
    assert next(found) == 1
    with pytest.raises(ZeroDivisionError):
        next(found)


def test_leaving_early_starts_no_other_work() -> None:
    started = []
    found = ahead(range(50), started.append, depth=2)
    next(found)
    found.close()
    assert len(started) <= 3
