"""Says how the loss of a picture's label changes with its place on an empty canvas, in nats, background by background.

After PINE's vision test (arXiv 2407.01100, figure 1), which shows a map without numbers; tests and intervals are ours.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from vlbias.answers import Answer, Outcome
from vlbias.estimates import Estimate
from vlbias.metrics._blocks import Floats, Ints, rows
from vlbias.metrics._cell_table import CellTable, of_luck
from vlbias.metrics._means import mean_estimate
from vlbias.metrics._resample import reference
from vlbias.metrics._sign_flips import flipped, stepped
from vlbias.metrics._spatial_contrasts import contrast_rows
from vlbias.metrics._spatial_tables import JOINED, MORAN, moran_estimate, over_grids
from vlbias.metrics._spatial_test import DRAWS, coordinates, spatial_test

UNIT = "nats"
EVERYWHERE = (-np.inf, np.inf)


@dataclass(frozen=True, kw_only=True, eq=False)
class LossMap:
    """The loss of the label of each item in each cell, cells in raster order, on one background."""

    background: str
    grid_rc: tuple[int, int]
    loss_NC: Floats
    items: tuple[str, ...]
    clusters: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def cluster_N(self) -> Ints:
        """The clusters, numbered from 0."""
        return self.table.cluster_N

    @property
    def table(self) -> CellTable:
        """The loss by cell, in nats."""
        return CellTable(
            metric="canvas_loss",
            task=self.background,
            unit=UNIT,
            grid_rc=self.grid_rc,
            value_NC=self.loss_NC,
            items=self.items,
            clusters=self.clusters,
            bounds=EVERYWHERE,
            notes=self.notes,
        )


def measure(outcomes: Sequence[Outcome], *, rng: np.random.Generator) -> list[Estimate]:
    """The loss per cell, its pattern, its slopes down and right over the canvas, planned contrasts and its range.

    Loss is -log p(label), teacher-forced, summed over the label's tokens; the pattern is of minus the loss, so `top`
    says that the label is most probable there. A slope is nats from one side of the canvas to the other. Where several
    backgrounds were asked, p-values are Holm's over them, and `canvas_slopes_differ` tests whether a slope depends on
    the background. `canvas_loss_of_luck` is one map of the same losses with the cells of each cluster dealt by chance.
    What is right and wrong of the labels is tested by the metric `spatial`.
    """
    maps = loss_maps(outcomes)
    out = [estimate for found in maps for estimate in _of_map(found, rng=rng)]
    between = _between(maps, rng=rng)
    return [*over_grids(out), *between, *(e for found in maps for e in of_luck(found.table, rng=rng))]


def _of_map(found: LossMap, *, rng: np.random.Generator) -> list[Estimate]:
    blank = Estimate(metric="canvas_loss", task=found.background, unit=UNIT, notes=found.notes)
    if not found.items:
        return [replace(blank, notes=("no item has the loss of its label in every cell", *found.notes))]
    out = [
        mean_estimate(
            replace(blank, cell=divmod(c, found.grid_rc[1])),
            found.loss_NC[:, c],
            found.clusters,
            rng=rng,
            bounds=EVERYWHERE,
        )
        for c in range(found.loss_NC.shape[1])
    ]
    n, g = len(found.items), len(set(found.clusters))
    if g < 2:
        note = "one cluster: a place cannot be told from the cluster"
        return [*out, replace(blank, metric="canvas_pattern", unit="", n=n, clusters=g, notes=(note, *found.notes))]
    test = spatial_test(-found.loss_NC, found.cluster_N, found.grid_rc, rng=rng)
    method = f"cells permuted within clusters, {DRAWS} draws"
    by_luck = reference(test.null_variance_B, p_value=test.p_any, method=method)
    blank = replace(blank, n=n, clusters=g)
    out.append(replace(blank, metric="canvas_pattern", unit="", label=test.label, reference=by_luck, adjusted=JOINED))
    out.append(
        replace(
            blank,
            metric="canvas_variance",
            value=max(0.0, test.variance - float(test.null_variance_B.mean())),
            unit=f"{UNIT}^2",
            interval="not available: a variance has no interval near 0",
            reference=reference(
                np.maximum(0.0, test.null_variance_B - test.null_variance_B.mean()),
                p_value=test.p_variance,
                method=method,
            ),
        )
    )
    moran = moran_estimate(replace(blank, metric="canvas_morans_i", unit="", notes=(MORAN, *found.notes)), test)
    return [*out, *_planned(found, rng=rng), moran]


def _planned(found: LossMap, *, rng: np.random.Generator) -> list[Estimate]:
    """Slopes and contrasts of the loss; signs of clusters are flipped for the p-values, Holm over all of them."""
    weights = {f"slope_{name}": w for name, w in _slopes(found.grid_rc).items()} | contrast_rows(found.grid_rc)
    out = []
    for name, weight_C in weights.items():
        blank = Estimate(metric=f"canvas_{name}", task=found.background, unit=UNIT, notes=found.notes)
        out.append(flipped(blank, found.loss_NC @ weight_C, found.clusters, rng=rng, bounds=EVERYWHERE))
    return stepped(out, of="comparison")


def _between(maps: Sequence[LossMap], *, rng: np.random.Generator) -> list[Estimate]:
    """Slopes on one background less those on the first, over the items that both have; Holm over all of them."""
    out = []
    for other in maps[1:]:
        first = maps[0]
        both = sorted(set(first.items) & set(other.items))
        if not both or first.grid_rc != other.grid_rc:
            continue
        rows_N = [[m.items.index(item) for item in both] for m in (first, other)]
        clusters = [first.clusters[k] for k in rows_N[0]]
        for name, weight_C in _slopes(first.grid_rc).items():
            each_N = (other.loss_NC[rows_N[1]] - first.loss_NC[rows_N[0]]) @ weight_C
            task = f"{other.background} less {first.background}, {name}"
            blank = Estimate(metric="canvas_slopes_differ", task=task, unit=UNIT)
            out.append(flipped(blank, each_N, clusters, rng=rng, bounds=EVERYWHERE))
    return stepped(out, of="comparison")


def _slopes(grid_rc: tuple[int, int]) -> dict[str, Floats]:
    """Weights over the cells that give the least-squares slope down and right, per whole side of the canvas."""
    y_C, x_C = coordinates(grid_rc)
    n_rows, n_columns = grid_rc
    # Middles of cells run from half a cell to a side less half a cell.
    sides = {"down": y_C * (1 - 1 / n_rows) / 2, "right": x_C * (1 - 1 / n_columns) / 2}
    return {name: at_C / (at_C**2).sum() for name, at_C in sides.items() if (at_C**2).sum() > 0}


def loss_maps(outcomes: Sequence[Outcome]) -> list[LossMap]:
    """The losses on each background, of the items that have one in every cell."""
    told_of: dict[str, dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    grids: dict[str, tuple[int, int]] = {}
    cluster: dict[str, str] = {}
    asked: dict[str, set[str]] = defaultdict(set)
    for row in rows(outcomes):
        told = dict(row.asked.factors)
        if not {"background", "cell", "grid"} <= told.keys():
            continue
        n_rows, n_columns = (int(part) for part in told["grid"].split("x"))
        r, c = (int(part) for part in told["cell"].split(","))
        grids[told["background"]] = n_rows, n_columns
        cluster[row.asked.probe_id] = row.asked.cluster_id
        asked[told["background"]].add(row.asked.probe_id)
        loss = _loss(row) if isinstance(row, Answer) else None
        if loss is not None:
            told_of[told["background"]][row.asked.probe_id][r * n_columns + c] = loss
    return [_map(name, grids[name], told_of[name], asked[name], cluster) for name in sorted(grids)]


def _map(
    background: str,
    grid_rc: tuple[int, int],
    losses: dict[str, dict[int, float]],
    asked: set[str],
    cluster: dict[str, str],
) -> LossMap:
    n_cells = grid_rc[0] * grid_rc[1]
    kept = tuple(item for item in sorted(asked) if len(losses[item]) == n_cells)
    table = [[losses[item][c] for c in range(n_cells)] for item in kept]
    lost = len(asked) - len(kept)
    return LossMap(
        background=background,
        grid_rc=grid_rc,
        loss_NC=np.array(table, dtype=np.float64).reshape(len(kept), n_cells),
        items=kept,
        clusters=tuple(cluster[item] for item in kept),
        notes=(f"{lost} of {len(asked)} items lack the loss of their label in a cell; left out",) if lost else (),
    )


def _loss(answer: Answer) -> float | None:
    """-log p of the label, which only an exact log-probability tells; not normalised over the labels."""
    if answer.logprobs is None or answer.level != "exact" or answer.asked.gold is None:
        return None
    return -answer.logprobs[answer.asked.option_order.index(answer.asked.gold)]
