"""Average precision of a detector in the image as a whole and zone by zone, where boxes have scores."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vlbias.answers import Answer, Failure, Outcome
from vlbias.estimates import Estimate
from vlbias.metrics import _detection
from vlbias.metrics._blocks import Floats, Ints, rows
from vlbias.metrics._zone_precision import Boxes, zone_precision

METRIC = "detection_average_precision"


def measure(outcomes: Sequence[Outcome], *, rng: np.random.Generator) -> list[Estimate]:
    """AP in points at IoU .5 and .75 of the whole image and of each cell, ring (0 is the outermost cells), row, column.

    All boxes of an answer count, and what is looked for is one category: a box of a thing that stands elsewhere is a
    false one where it lies. Zones are those of ZoneEval (arXiv 2310.13215) over the cells of the grid. An item counts
    if every cell was answered. Answers without scores, and answers in points, have no AP and are left out. What a
    detector's threshold leaves out is not there: a high threshold lowers AP.
    """
    del rng  # the jackknife draws nothing
    groups: dict[tuple[str, str], list[Answer | Failure]] = defaultdict(list)
    for row in rows(outcomes):
        told = dict(row.asked.factors)
        if told.get("asks") == "box" and "target" in told and "cell" in told:
            groups[told["grid"], told["size_px"]].append(row)
    out: list[Estimate] = []
    for (grid, _), found in sorted(groups.items()):
        if any(isinstance(row, Answer) and row.detections is not None for row in found):
            out += _of_grid(found, grid=grid)
    return out


def _of_grid(found: Sequence[Answer | Failure], *, grid: str) -> list[Estimate]:
    n_rows, n_columns = (int(v) for v in grid.split("x"))
    scored = [row for row in found if isinstance(row, Answer) and row.detections is not None]
    answered: dict[str, int] = defaultdict(int)
    for row in scored:
        answered[row.asked.probe_id] += 1
    items = {row.asked.probe_id for row in found}
    kept = [row for row in scored if answered[row.asked.probe_id] == n_rows * n_columns]
    lost = len(items) - len({row.asked.probe_id for row in kept})
    notes = (f"attrition: {lost} of {len(items)} items lack a usable answer in a cell; left out",) if lost else ()
    task = f"box, {grid}"
    if not kept:
        why = ("no item has a usable answer in every cell", *notes)
        return [Estimate(metric=f"{METRIC}_50", task=task, notes=why, clusters=0)]
    truth, said = _boxes(kept)
    row_C, column_C = np.divmod(np.arange(n_rows * n_columns), n_columns)
    ring_C = np.min([row_C, column_C, n_rows - 1 - row_C, n_columns - 1 - column_C], axis=0)
    zones = {"": np.arange(n_rows * n_columns), "_of_ring": ring_C, "_of_row": row_C, "_of_column": column_C}
    out = []
    for name, zone_C in zones.items():
        here = [_zoned(boxes, zone_C, n_rows=n_rows, n_columns=n_columns) for boxes in (truth, said)]
        for one in zone_precision(here[0], here[1], task=task, n_zones=int(zone_C.max()) + 1):
            if one.slot is None and name:
                continue  # the whole image is told once
            named = replace(one, metric=one.metric.replace("zone_average_precision", METRIC) + name)
            if not name and one.slot is not None:
                named = replace(named, slot=None, cell=divmod(one.slot, n_columns))
            out.append(replace(named, notes=(*one.notes, *notes)))
    return out


def _boxes(kept: Sequence[Answer]) -> tuple[Boxes, Boxes]:
    """The true boxes and those that were found; an image is a trial, and images of one cluster stand together."""
    number = {name: k for k, name in enumerate(sorted({row.asked.cluster_id for row in kept}))}
    groups = [number[row.asked.cluster_id] for row in kept]
    true = [[float(v) for v in dict(row.asked.factors)["target"].split(",")] for row in kept]
    said = [(k, one) for k, row in enumerate(kept) for one in row.detections or ()]
    image_M = np.array([k for k, _ in said], dtype=np.intp)
    box_M4 = np.array([one.box_xyxy for _, one in said], dtype=np.float64).reshape(-1, 4)
    return (
        _as_boxes(np.array(true), np.arange(len(kept)), np.array(groups)),
        _as_boxes(box_M4, image_M, np.array(groups)[image_M], score_M=np.array([one.score for _, one in said])),
    )


def _as_boxes(box_M4: Floats, image_M: Ints, group_M: Ints, *, score_M: Floats | None = None) -> Boxes:
    none_M = np.zeros(len(box_M4), dtype=np.intp)
    return Boxes(box_M4=box_M4, image_M=image_M, category_M=none_M, zone_M=none_M, score_M=score_M, group_M=group_M)


def _zoned(boxes: Boxes, zone_C: Ints, *, n_rows: int, n_columns: int) -> Boxes:
    """The boxes in the zones in which their centres lie."""
    cell_M = _detection.cells(_detection.centres(boxes.box_M4), rows=n_rows, columns=n_columns)
    return replace(boxes, zone_M=zone_C[cell_M])
