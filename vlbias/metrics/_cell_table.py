"""The quantity that a run's first map shows, as a complete table, and the same table with its cells dealt by chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vlbias.estimates import Estimate
from vlbias.metrics._blocks import Floats, Ints, cluster_sums

OF_LUCK = "_of_luck"


@dataclass(frozen=True, kw_only=True, eq=False)
class CellTable:
    """`value_NC[i, c]` is the value of item i in cell c, cells in raster order; `bounds` are those of one value.

    `metric` and `task` name the map that shows the means of the cells.
    """

    metric: str
    task: str
    unit: str
    grid_rc: tuple[int, int]
    value_NC: Floats
    items: tuple[str, ...]
    clusters: tuple[str, ...]
    bounds: tuple[float, float]
    notes: tuple[str, ...]

    @property
    def cluster_N(self) -> Ints:
        """The clusters, numbered from 0."""
        return np.unique(list(self.clusters), return_inverse=True)[1].reshape(-1).astype(np.intp)


def of_luck(table: CellTable, *, rng: np.random.Generator) -> list[Estimate]:
    """What the map looks like when cells are exchangeable: the cells of each cluster dealt once, all its items alike.

    The deal is one draw of the permutations behind the tests. It has no interval: it is there to be looked at beside
    the map that was found.
    """
    if not table.items:
        return []
    sums_GC = cluster_sums(table.value_NC, table.cluster_N)
    dealt_C = rng.permuted(sums_GC, axis=1).sum(axis=0) / len(table.items)
    return [
        Estimate(
            metric=f"{table.metric}{OF_LUCK}",
            task=table.task,
            unit=table.unit,
            value=float(v),
            cell=divmod(c, table.grid_rc[1]),
            interval="not available: one deal of the cells",
            n=len(table.items),
            clusters=len(sums_GC),
            notes=table.notes,
        )
        for c, v in enumerate(dealt_C)
    ]
