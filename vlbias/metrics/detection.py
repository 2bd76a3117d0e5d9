"""Says where in the image things are found and boxed well, and which way what is said is off.

Kinds of error after WiCo (arXiv 2306.10750), zones after ZoneEval (arXiv 2310.13215); both compare other items in each
zone, here the same item stands in every cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vlbias.answers import Outcome
from vlbias.estimates import Estimate
from vlbias.metrics import _detection
from vlbias.metrics._blocks import Floats
from vlbias.metrics._cell_table import of_luck
from vlbias.metrics._exact_tests import cell_names, changes
from vlbias.metrics._located import OVERLAP, Located, located
from vlbias.metrics._means import mean_estimate
from vlbias.metrics._spatial_tables import of_table, over_grids

THRESHOLDS = (0.25, 0.5, 0.75, 0.9)
UNBOUNDED = (-np.inf, np.inf)


def measure(outcomes: Sequence[Outcome], *, rng: np.random.Generator) -> list[Estimate]:
    """Per way of asking: how often things are found, in all and per cell, ring, row and column; tests; errors.

    `detection_accuracy` counts a box at an IoU of .5 or more and a point in the true box; what was not found counts as
    wrong there, is the kind `miss`, and has no overlap, distance or direction. `detection_pattern` is read as
    `spatial_pattern` is; p-values are Holm's over the ways of asking. Errors are in sides of the true box, right and
    down, of hits and of wrong places apart.
    """
    out: list[Estimate] = []
    for found in located(outcomes):
        if not found.cluster_N:
            why = ("no item has a usable answer in every cell", *found.notes)
            out.append(Estimate(metric="detection_pattern", task=found.task, notes=why, clusters=0))
            continue
        out += _map("detection_accuracy", found, 100 * found.right_NC, rng=rng)
        out += [*_zones(found, rng=rng), *_kinds(found, rng=rng)]
        out += of_table(found.blocks, found.right_NC, prefix="detection", rng=rng)
        out += [*_quality(found, rng=rng), *_directions(found, rng=rng)]
        blank, names = Estimate(metric="", task=found.task, notes=found.notes), cell_names(found.grid_rc)
        out += changes(blank, found.right_NC, prefix="detection", places=names, clusters=found.cluster_N, rng=rng)
        out += of_luck(found.table, rng=rng)
    return over_grids(out)


def _mean(
    blank: Estimate,
    found: Located,
    value_NC: Floats,
    *,
    rng: np.random.Generator,
    bounds: tuple[float, float],
) -> Estimate:
    """The mean over those of some cells that have a value; the notes count those without."""
    has_NC = ~np.isnan(value_NC)
    clusters = np.repeat(np.array(found.cluster_N), has_NC.sum(axis=1))
    without = int((~has_NC).sum())
    notes = (f"{without} of {value_NC.size} answers have no such value",) if without else ()
    noted = replace(blank, notes=(*notes, *found.notes))
    return mean_estimate(noted, value_NC[has_NC], [str(c) for c in clusters], rng=rng, bounds=bounds)


def _map(
    metric: str,
    found: Located,
    value_NC: Floats,
    *,
    rng: np.random.Generator,
    unit: str = "points",
    bounds: tuple[float, float] = (0.0, 100.0),
) -> list[Estimate]:
    """The mean over all cells, and of each cell."""
    blank = Estimate(metric=metric, task=found.task, unit=unit)
    out = [_mean(blank, found, value_NC, rng=rng, bounds=bounds)]
    for c in range(value_NC.shape[1]):
        at = replace(blank, cell=divmod(c, found.grid_rc[1]))
        out.append(_mean(at, found, value_NC[:, [c]], rng=rng, bounds=bounds))
    return out


def _zones(found: Located, *, rng: np.random.Generator) -> list[Estimate]:
    """Accuracy of the cells of each ring (0 is the outermost cells), row and column."""
    n_rows, n_columns = found.grid_rc
    row_C, column_C = np.divmod(np.arange(n_rows * n_columns), n_columns)
    ring_C = np.min([row_C, column_C, n_rows - 1 - row_C, n_columns - 1 - column_C], axis=0)
    zones = {"ring": ring_C, "row": row_C, "column": column_C}
    return [
        _mean(
            Estimate(metric=f"detection_accuracy_of_{name}", task=found.task, slot=int(k), unit="points"),
            found,
            100 * found.right_NC[:, zone_C == k],
            rng=rng,
            bounds=(0.0, 100.0),
        )
        for name, zone_C in zones.items()
        for k in np.unique(zone_C)
    ]


def _kinds(found: Located, *, rng: np.random.Generator) -> list[Estimate]:
    """Accuracy of each kind of thing, where there are several."""
    kinds = np.array(found.kind_N)
    if len(set(found.kind_N)) < 2:
        return []
    out = []
    for kind in sorted(set(found.kind_N)):
        here = kinds == kind
        part = replace(found, cluster_N=tuple(np.array(found.cluster_N)[here].tolist()))
        blank = Estimate(metric="detection_accuracy_of_kind", task=f"{found.task}, {kind}", unit="points")
        out.append(_mean(blank, part, 100 * found.right_NC[here], rng=rng, bounds=(0.0, 100.0)))
    return out


def _quality(found: Located, *, rng: np.random.Generator) -> list[Estimate]:
    """Overlap, thresholds and kinds of error of boxes; for both boxes and points the distance and what was missed."""
    flat_truth_M4 = found.truth_NC4.reshape(-1, 4)
    size_M2 = np.broadcast_to(np.array(found.image_wh_px, np.float64), (len(flat_truth_M4), 2))
    away_M = _detection.centre_distance(found.point_NC2.reshape(-1, 2), flat_truth_M4, image_wh_px=size_M2)
    away_NC = away_M.reshape(found.right_NC.shape)
    out = _map("detection_distance", found, away_NC, rng=rng, unit="diagonals", bounds=(0.0, 1.0))
    if not found.boxes:
        missed_NC = 100.0 * np.isnan(found.inside_NC)
        return [*out, *_map("detection_miss", found, missed_NC, rng=rng)]
    out += _map("detection_iou", found, found.iou_NC, rng=rng, unit="IoU", bounds=(0.0, 1.0))
    out += _map("detection_point_in_box", found, 100 * np.nan_to_num(found.inside_NC, nan=0.0), rng=rng)
    for threshold in THRESHOLDS:
        if threshold != OVERLAP:
            at_NC = np.nan_to_num(_detection.accuracy_at(found.iou_NC, threshold), nan=0.0)
            out += _map(f"detection_accuracy_at_{round(100 * threshold)}", found, 100 * at_NC, rng=rng)
    kind_NC = np.array(_detection.error_kinds(found.iou_NC.reshape(-1))).reshape(found.right_NC.shape)
    for kind in _detection.KINDS:
        out += _map(f"detection_{kind}", found, 100.0 * (kind_NC == kind), rng=rng)
    return out


def _directions(found: Located, *, rng: np.random.Generator) -> list[Estimate]:
    """How far right of and below the true centre, of hits and of wrong places."""
    error_M2 = _detection.signed_error(found.point_NC2.reshape(-1, 2), found.truth_NC4.reshape(-1, 4))
    error_NC2 = error_M2.reshape(*found.right_NC.shape, 2)
    out = []
    for name, keep_NC in (("hits", found.right_NC == 1), ("wrong", found.right_NC == 0)):
        for axis, way in enumerate(("right", "down")):
            value_NC = np.where(keep_NC, error_NC2[..., axis], np.nan)
            metric, unit = f"detection_error_{way}_{name}", "sides of the target"
            out += _map(metric, found, value_NC, rng=rng, unit=unit, bounds=UNBOUNDED)
    return out
