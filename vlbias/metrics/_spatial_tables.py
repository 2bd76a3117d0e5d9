"""What is said of one quantity over the cells of a grid: its pattern, variance, planned contrasts and Moran's I."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vlbias.estimates import Estimate, Reference
from vlbias.metrics._blocks import Floats
from vlbias.metrics._multiplicity import over_tasks
from vlbias.metrics._resample import reference
from vlbias.metrics._sign_flips import flipped, stepped
from vlbias.metrics._spatial_blocks import GridBlocks
from vlbias.metrics._spatial_contrasts import contrast_rows
from vlbias.metrics._spatial_test import DRAWS, LEVEL, SpatialTest, spatial_test

JOINED = "min-p over variance and max-T of patterns"
MORAN = "a description: no test and no interval"
PERMUTED = f"cells permuted within clusters, {DRAWS} draws"


def unvalued(metric: str, found: GridBlocks, *, unit: str = "points", note: str | None = None) -> Estimate:
    """An estimate of a metric of these items, as yet without a value."""
    n, g = len(found.hit_NC), len(np.unique(found.cluster_N))
    notes = (*((note,) if note else ()), *found.notes)
    return Estimate(metric=metric, task=found.task, unit=unit, n=n, clusters=g, notes=notes)


def of_table(found: GridBlocks, value_NC: Floats, *, prefix: str, rng: np.random.Generator) -> list[Estimate]:
    """The pattern, the variance, the contrasts and Moran's I of one quantity."""
    if len(np.unique(found.cluster_N)) < 2:
        return [unvalued(f"{prefix}_pattern", found, note="one cluster: a place cannot be told from the cluster")]
    test = spatial_test(100 * value_NC, found.cluster_N, found.grid_rc, rng=rng)
    null = test.null_variance_B
    explained = ", ".join(f"{n} {z:+.1f}" for n, z in zip(test.patterns, test.score_K, strict=True))
    none = Reference(mean=0.0, low=0.0, high=0.0, p_value=test.p_any, method=PERMUTED)
    pattern = unvalued(f"{prefix}_pattern", found, unit="", note=f"along each pattern, in standard errors: {explained}")
    variance = unvalued(f"{prefix}_cell_variance", found, unit="points^2",
                      note=f"the map varies by {test.variance:.4g}, of which luck is {null.mean():.4g}")  # fmt: skip
    moran = unvalued(f"{prefix}_morans_i", found, unit="", note=MORAN)
    return [
        replace(pattern, label=test.label, reference=none, adjusted=JOINED),
        replace(
            variance,
            value=max(0.0, test.variance - float(null.mean())),
            interval="not available: a variance has no interval near 0",
            reference=reference(np.maximum(0.0, null - null.mean()), p_value=test.p_variance, method=PERMUTED),
        ),
        *_contrasts(found, value_NC, prefix=prefix, rng=rng),
        moran_estimate(moran, test),
    ]


def moran_estimate(blank: Estimate, test: SpatialTest) -> Estimate:
    """`blank` with Moran's I beside what luck gives; without a value where the map is flat."""
    if test.moran is None or not len(test.null_moran_B):
        return replace(blank, notes=("the map is flat", *blank.notes))
    return replace(blank, value=test.moran, reference=reference(test.null_moran_B, p_value=None, method=PERMUTED))


def _contrasts(found: GridBlocks, value_NC: Floats, *, prefix: str, rng: np.random.Generator) -> list[Estimate]:
    """Planned differences in points; the p-value flips the sign of whole clusters, by Holm over the contrasts."""
    clusters = [str(c) for c in found.cluster_N]
    out = [
        flipped(unvalued(f"{prefix}_{name}", found), 100 * value_NC @ weight_C, clusters, rng=rng)
        for name, weight_C in contrast_rows(found.grid_rc).items()
    ]
    return stepped(out, of="contrast")


def over_grids(found: Sequence[Estimate]) -> list[Estimate]:
    """The estimates with p-values stepped down over the tasks (Holm); a pattern that does not survive is withheld."""
    out = []
    for before, after in zip(found, over_tasks(found), strict=True):
        p, stepped_p = (e.reference.p_value if e.reference else None for e in (before, after))
        if before.label not in (None, "none") and p is not None and stepped_p is not None and p <= LEVEL < stepped_p:
            why = f"{before.label} is withheld: p = {p:.3g} alone, {stepped_p:.3g} over all tasks"
            after = replace(after, label="none", notes=(why, *after.notes))
        out.append(after)
    return out
