"""Turns answers that name places into complete tables: one row per item, one column per cell."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from vlbias.answers import Answer, Asked, Failure, Outcome
from vlbias.errors import BadInput
from vlbias.metrics import _detection
from vlbias.metrics._blocks import Floats, right_or_wrong, rows
from vlbias.metrics._cell_table import CellTable
from vlbias.metrics._spatial_blocks import GridBlocks

OVERLAP = 0.5
PLACES = ("box", "point")


@dataclass(frozen=True, kw_only=True, eq=False)
class Located:
    """What was said of N items in C cells in raster order; what was not found is NaN.

    `said_NCK` are boxes (K 4) or points (K 2) and `truth_NC4` the true boxes, in 0..1; `image_wh_px` is one for all.
    """

    task: str
    grid_rc: tuple[int, int]
    said_NCK: Floats
    truth_NC4: Floats
    image_wh_px: tuple[int, int]
    items: tuple[str, ...]
    kind_N: tuple[str, ...]
    cluster_N: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def boxes(self) -> bool:
        """Whether boxes were asked for, and not points."""
        return bool(self.said_NCK.shape[2] == 4)

    @property
    def point_NC2(self) -> Floats:
        """The point that was said, or the centre of the box."""
        if not self.boxes:
            return self.said_NCK
        return _detection.centres(self.said_NCK.reshape(-1, 4)).reshape(*self.said_NCK.shape[:2], 2)

    @property
    def iou_NC(self) -> Floats:
        """The overlap with the true box; NaN where nothing was found. Only of boxes."""
        flat = _detection.iou(self.said_NCK.reshape(-1, 4), self.truth_NC4.reshape(-1, 4))
        return flat.reshape(self.said_NCK.shape[:2])

    @property
    def inside_NC(self) -> Floats:
        """1 where the point, or the centre of the box, lies in the true box, else 0; NaN where nothing was found."""
        flat = _detection.within(self.point_NC2.reshape(-1, 2), self.truth_NC4.reshape(-1, 4))
        return flat.reshape(self.said_NCK.shape[:2])

    @property
    def right_NC(self) -> Floats:
        """1 where the box overlaps by half or the point lies inside, else 0; 0 too where nothing was found."""
        right_NC = _detection.accuracy_at(self.iou_NC, OVERLAP) if self.boxes else self.inside_NC
        return np.asarray(np.nan_to_num(right_NC, nan=0.0))

    @property
    def blocks(self) -> GridBlocks:
        """The table of right and wrong, as spatial tests take it."""
        numbers = np.unique(self.cluster_N, return_inverse=True)[1].reshape(-1).astype(np.intp)
        return GridBlocks(
            task=self.task,
            grid_rc=self.grid_rc,
            hit_NC=self.right_NC,
            false_NC=None,
            cluster_N=numbers,
            items=self.items,
            notes=self.notes,
        )

    @property
    def table(self) -> CellTable:
        """What is found by cell, in points."""
        return replace(self.blocks.table, metric="detection_accuracy", clusters=self.cluster_N)


def asks_place(asked: Asked) -> bool:
    """Whether a box or a point was asked for, of a thing whose place is known."""
    told = dict(asked.factors)
    return told.get("asks") in PLACES and "target" in told and "cell" in told


def found_right(answer: Answer) -> bool:
    """Whether one answer names the right place: a box that overlaps by half, a point in the true box."""
    told = dict(answer.asked.factors)
    target_14 = np.array([[float(v) for v in told["target"].split(",")]])
    if told["asks"] == "point":
        return answer.point_xy is not None and bool(_detection.within(np.array([answer.point_xy]), target_14)[0])
    return answer.box_xyxy is not None and bool(_detection.iou(np.array([answer.box_xyxy]), target_14)[0] >= OVERLAP)


def as_found(rows: Sequence[Answer | Failure]) -> list[Answer | Failure]:
    """The rows with right and wrong as options where a place was asked for: whether the thing was found there.

    A box counts from an overlap of a half on, a point in the true box; what was not found counts as wrong.
    """
    return [
        right_or_wrong(row, row.asked, right=isinstance(row, Answer) and found_right(row))
        if asks_place(row.asked)
        else row
        for row in rows
    ]


def located(outcomes: Sequence[Outcome]) -> Iterator[Located]:
    """The tables of each way of asking (box, point) at each grid; answers to other questions are left out."""
    groups: dict[tuple[str, str, str], list[Answer | Failure]] = defaultdict(list)
    for row in rows(outcomes):
        told = dict(row.asked.factors)
        if asks_place(row.asked):
            groups[told["asks"], told["grid"], told["size_px"]].append(row)
    for (asks, grid, size), found in sorted(groups.items()):
        yield _complete(found, asks=asks, grid=grid, size=size)


def _complete(found: Sequence[Answer | Failure], *, asks: str, grid: str, size: str) -> Located:
    n_rows, n_columns = (int(v) for v in grid.split("x"))
    width, height = (int(v) for v in size.split("x"))
    n_cells, length = n_rows * n_columns, 4 if asks == "box" else 2
    said: dict[str, dict[int, tuple[tuple[float, ...], tuple[float, ...]]]] = defaultdict(dict)
    about: dict[str, tuple[str, str]] = {}
    for row in found:
        told = dict(row.asked.factors)
        r, c = (int(v) for v in told["cell"].split(","))
        about[row.asked.probe_id] = row.asked.task, row.asked.cluster_id
        if isinstance(row, Failure):
            continue
        given = row.box_xyxy if asks == "box" else row.point_xy
        target = tuple(float(v) for v in told["target"].split(","))
        said[row.asked.probe_id][r * n_columns + c] = (given or (np.nan,) * length), target
    kept = [item for item in sorted(about) if len(said[item]) == n_cells]
    lost = len(about) - len(kept)
    tables = [np.array([[said[i][c][k] for c in range(n_cells)] for i in kept], dtype=np.float64) for k in (0, 1)]
    if len(kept) and (tables[1][..., 2:] <= tables[1][..., :2]).any():
        raise BadInput("a true box among the answers has no area; the factor target holds x1,y1,x2,y2")
    return Located(
        task=f"{asks}, {grid}",
        grid_rc=(n_rows, n_columns),
        said_NCK=tables[0].reshape(len(kept), n_cells, length),
        truth_NC4=tables[1].reshape(len(kept), n_cells, 4),
        image_wh_px=(width, height),
        items=tuple(kept),
        kind_N=tuple(about[item][0] for item in kept),
        cluster_N=tuple(about[item][1] for item in kept),
        notes=(f"attrition: {lost} of {len(about)} items lack a usable answer in a cell; left out",) if lost else (),
    )
