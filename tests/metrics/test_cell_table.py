"""Tables behind the first maps: what luck draws of them, and which table belongs to which kind of probe."""

import numpy as np
import pytest

from vlbias.metrics._cell_table import CellTable, of_luck


@pytest.fixture
def table():
    """Items of three clusters; the values of a cluster have a decimal place of their own, so that a sum tells them."""

    def make() -> CellTable:
        rows = [[1, 2, 3, 4], [0, 0, 0, 0], [10, 20, 30, 40], [500, 600, 700, 800]]
        return CellTable(
            metric="canvas_loss", task="grey", unit="nats", grid_rc=(2, 2), value_NC=np.array(rows, float),
            items=("a", "b", "c", "d"), clusters=("x", "x", "y", "z"), bounds=(-np.inf, np.inf), notes=("a note",),
        )  # fmt: skip

    return make


def digits(found, place: int) -> list[int]:
    return sorted(round(e.value * 4) // 10**place % 10 for e in found)


def test_luck_deals_the_cells_of_each_cluster_and_never_those_of_another(table) -> None:
    found = of_luck(table(), rng=np.random.default_rng(3))
    assert [digits(found, place) for place in range(3)] == [[1, 2, 3, 4], [1, 2, 3, 4], [5, 6, 7, 8]]
    assert [e.cell for e in found] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert {(e.metric, e.task, e.unit, e.n, e.clusters) for e in found} == {
        ("canvas_loss_of_luck", "grey", "nats", 4, 3)
    }
    assert all(e.low is None and e.interval == "not available: one deal of the cells" for e in found)


def test_luck_is_the_same_for_the_same_seed_and_moves_with_another(table) -> None:
    by_seed = [[e.value for e in of_luck(table(), rng=np.random.default_rng(seed))] for seed in (0, 0, 1, 2, 3)]
    assert by_seed[0] == by_seed[1]
    assert len({tuple(values) for values in by_seed}) > 1
