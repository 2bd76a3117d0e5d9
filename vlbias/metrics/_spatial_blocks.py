"""Turns answers about a grid into complete blocks: one row per item, one column per cell, present and absent apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from vlbias.answers import Answer, Failure, Outcome
from vlbias.metrics._blocks import Floats, Ints, rows
from vlbias.metrics._cell_table import CellTable

CONDITION = ("shift", "background", "layout", "style")


@dataclass(frozen=True, kw_only=True, eq=False)
class GridBlocks:
    """`hit_NC[i, c]` is 1 where item i was said to be in cell c and was; `false_NC` 1 where it was said and was not.

    `false_NC` is None where nothing absent was asked. Cells stand in raster order; `cluster_N` numbers clusters from 0.
    """

    task: str
    grid_rc: tuple[int, int]
    hit_NC: Floats
    false_NC: Floats | None
    cluster_N: Ints
    items: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def right_NC(self) -> Floats:
        """The share of right answers of each item in each cell: 0, 1/2 or 1 with absent versions, else 0 or 1."""
        return self.hit_NC if self.false_NC is None else (self.hit_NC + 1 - self.false_NC) / 2

    @property
    def yes_NC(self) -> Floats | None:
        """The share of yes, whatever is there: the leaning of the answer, not its sight."""
        return None if self.false_NC is None else (self.hit_NC + self.false_NC) / 2

    @property
    def clusters(self) -> tuple[str, ...]:
        """The cluster of each item, as text."""
        return tuple(str(c) for c in self.cluster_N)

    @property
    def table(self) -> CellTable:
        """Right answers by cell, in points."""
        return CellTable(
            metric="spatial_accuracy",
            task=self.task,
            unit="points",
            grid_rc=self.grid_rc,
            value_NC=100 * self.right_NC,
            items=self.items,
            clusters=self.clusters,
            bounds=(0.0, 100.0),
            notes=self.notes,
        )


def grid_blocks(outcomes: Sequence[Outcome]) -> Iterator[GridBlocks]:
    """The blocks of each task at each grid and condition; answers without the two factors are left out."""
    groups: dict[tuple[str, ...], list[Answer | Failure]] = defaultdict(list)
    for row in rows(outcomes):
        told = dict(row.asked.factors)
        if "cell" in told and "grid" in told:
            more = [f"{name} {told[name]}" for name in CONDITION if name in told]
            groups[(told["grid"], ", ".join([row.asked.task, told["grid"], *more]))].append(row)
    for (grid, task), found in sorted(groups.items()):
        n_rows, n_columns = (int(part) for part in grid.split("x"))
        yield _complete(found, task=task, grid_rc=(n_rows, n_columns))


def _complete(found: Sequence[Answer | Failure], *, task: str, grid_rc: tuple[int, int]) -> GridBlocks:
    """Items that have a usable answer in every cell, for every version of them that was asked."""
    cells: dict[str, dict[tuple[bool, int], list[float]]] = defaultdict(lambda: defaultdict(list))
    cluster: dict[str, str] = {}
    bad: set[str] = set()
    versions = set()
    for row in found:
        told = dict(row.asked.factors)
        item, present = row.asked.probe_id, told.get("present", "yes") == "yes"
        if "present" in told:
            item = item.removesuffix(f"-{told['present']}")
        r, c = (int(part) for part in told["cell"].split(","))
        cluster[item] = row.asked.cluster_id
        versions.add(present)
        if isinstance(row, Failure) or row.chosen is None or row.asked.gold is None:
            bad.add(item)
        else:
            cells[item][present, r * grid_rc[1] + c].append(float(row.correct == present))
    n_cells = grid_rc[0] * grid_rc[1]
    wanted = [(present, c) for present in sorted(versions, reverse=True) for c in range(n_cells)]
    kept = [i for i in sorted(cluster) if i not in bad and all(len(cells[i][w]) == 1 for w in wanted)]
    table = np.array([[cells[i][w][0] for w in wanted] for i in kept], dtype=np.float64).reshape(len(kept), len(wanted))
    lost = len(cluster) - len(kept)
    both = len(versions) == 2
    return GridBlocks(
        task=task,
        grid_rc=grid_rc,
        hit_NC=table[:, :n_cells],
        false_NC=table[:, n_cells:] if both else None,
        cluster_N=np.unique([cluster[i] for i in kept], return_inverse=True)[1].reshape(-1).astype(np.intp),
        items=tuple(kept),
        notes=(f"attrition: {lost} of {len(cluster)} items lack a usable answer in a cell; left out",) if lost else (),
    )
