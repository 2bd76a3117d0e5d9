"""Says where in the image a thing is found and where not: hits, false alarms, sight and leaning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import stats

from vlbias.answers import Outcome
from vlbias.estimates import Estimate
from vlbias.metrics._blocks import Floats, cluster_sums
from vlbias.metrics._cell_table import of_luck
from vlbias.metrics._exact_tests import cell_names, changes
from vlbias.metrics._intervals import EXACT
from vlbias.metrics._means import BOOTSTRAP
from vlbias.metrics._resample import bootstrap_sums, exact_share, percentile
from vlbias.metrics._spatial_blocks import GridBlocks, grid_blocks
from vlbias.metrics._spatial_tables import of_table, over_grids, unvalued

LOGLINEAR = "rates (x + 1/2) / (n + 1) (Hautus 1995)"


def measure(outcomes: Sequence[Outcome], *, rng: np.random.Generator) -> list[Estimate]:
    """Per grid: hit rate, false-alarm rate, d', criterion and accuracy per cell; tests, contrasts and a pattern.

    `spatial_pattern` is `none` unless the p-value of cells being alike is at most .03; then the pattern that explains
    half or more of the variance beyond luck, or `other`. It is read from balanced accuracy, `spatial_leaning_pattern`
    from the share of yes, which is the leaning of the answer. Each calls a flat model biased in 3 of 100 runs.
    `spatial_cell_variance` is less what luck gives and not below 0. `spatial_morans_i` is a description and has no
    test. `spatial_accuracy_of_luck` is one map of the same answers with the cells of each cluster dealt by chance, to
    be looked at beside the map that was found. Every test keeps items whole; p-values are Holm's over the grids, which
    a pattern has to survive.
    """
    out: list[Estimate] = []
    for found in grid_blocks(outcomes):
        if len(found.hit_NC) == 0:
            out.append(unvalued("spatial_pattern", found, note="no item has a usable answer in every cell"))
            continue
        out += [*_maps(found, rng=rng), *of_table(found, found.right_NC, prefix="spatial", rng=rng)]
        if found.yes_NC is not None:
            out += of_table(found, found.yes_NC, prefix="spatial_leaning", rng=rng)
        blank, names = Estimate(metric="", task=found.task, notes=found.notes), cell_names(found.grid_rc)
        out += changes(blank, found.hit_NC, prefix="spatial", places=names, clusters=found.clusters, rng=rng)
        out += of_luck(found.table, rng=rng)
    return over_grids(out)


def _maps(found: GridBlocks, *, rng: np.random.Generator) -> list[Estimate]:
    """One number per cell, with intervals from one bootstrap over clusters for the whole map."""
    n, n_cells = found.hit_NC.shape
    g = len(np.unique(found.cluster_N))
    tables = [found.hit_NC, found.right_NC] + ([found.false_NC] if found.false_NC is not None else [])
    columns = np.column_stack([cluster_sums(np.hstack(tables), found.cluster_N), np.bincount(found.cluster_N)])
    drawn_BK = bootstrap_sums(columns, rng=rng) if g > 1 else columns.sum(axis=0)[None]
    total_K, n_B = columns.sum(axis=0), drawn_BK[:, -1:]
    names = ["spatial_hit_rate", "spatial_accuracy", "spatial_false_alarm_rate"][: len(tables)]
    out = []
    for k, name in enumerate(names):
        part = slice(k * n_cells, (k + 1) * n_cells)
        share_BC = 100 * drawn_BK[:, part] / n_B
        for c in range(n_cells):
            out.append(_share(unvalued(name, found), found, c, 100 * total_K[part][c] / n, share_BC[:, c], g))
    if found.false_NC is None:
        why = "not available: nothing absent was asked, so a hit and a liking for yes are one"
        return [*out, *(unvalued(m, found, unit="z", note=why) for m in ("spatial_dprime", "spatial_criterion"))]
    z = stats.norm.ppf
    hit_C, false_C = (_loglinear(total_K[k * n_cells : (k + 1) * n_cells], n) for k in (0, 2))
    hit_BC, false_BC = (_loglinear(drawn_BK[:, k * n_cells : (k + 1) * n_cells], n_B) for k in (0, 2))
    for metric, value_C, drawn_BC in (
        ("spatial_dprime", z(hit_C) - z(false_C), z(hit_BC) - z(false_BC)),
        ("spatial_criterion", -(z(hit_C) + z(false_C)) / 2, -(z(hit_BC) + z(false_BC)) / 2),
    ):
        for c in range(n_cells):
            blank = unvalued(metric, found, unit="z", note=LOGLINEAR)
            out.append(_interval(blank, found, c, float(value_C[c]), drawn_BC[:, c], g))
    return out


def _loglinear(count: Floats, n: Floats | int) -> Floats:
    return np.asarray((count + 0.5) / (n + 1))


def _share(blank: Estimate, found: GridBlocks, c: int, value: float, drawn_B: Floats, g: int) -> Estimate:
    """A share in points; where it is 0 or 100 the bootstrap has no width and the exact interval stands in."""
    if value in (0.0, 100.0):
        low, high = exact_share(g if value else 0, g)
        place = divmod(c, found.grid_rc[1])
        return replace(blank, value=value, low=100 * low, high=100 * high, interval=EXACT, cell=place)
    return _interval(blank, found, c, value, drawn_B, g, bounds=(0.0, 100.0))


def _interval(
    blank: Estimate,
    found: GridBlocks,
    c: int,
    value: float,
    drawn_B: Floats,
    g: int,
    bounds: tuple[float, float] = (-np.inf, np.inf),
) -> Estimate:
    one = replace(blank, value=float(value), cell=divmod(c, found.grid_rc[1]))
    if g < 2:
        return replace(one, interval="not available: one cluster")
    low, high = percentile(drawn_B, float(value), n_clusters=g, bounds=bounds)
    return replace(one, low=low, high=high, interval=BOOTSTRAP)
