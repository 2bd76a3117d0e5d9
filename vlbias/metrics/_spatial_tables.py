"""What is said of one quantity over the cells of a grid: its pattern, variance, planned contrasts and Moran's I."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vlbias.estimates import Estimate, Reference
from vlbias.metrics._blocks import Floats, cluster_sums
from vlbias.metrics._means import mean_estimate
from vlbias.metrics._multiplicity import holm, named
from vlbias.metrics._resample import p_at_least, reference
from vlbias.metrics._spatial_blocks import GridBlocks
from vlbias.metrics._spatial_contrasts import contrast_rows
from vlbias.metrics._spatial_test import DRAWS, SpatialTest, spatial_test

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
    moran = unvalued(f"{prefix}_morans_i", found, unit="", note="a description: no test and no interval")
    return [
        replace(pattern, label=test.label, reference=none, adjusted="min-p over variance and max-T of patterns"),
        replace(
            variance,
            value=max(0.0, test.variance - float(null.mean())),
            interval="not available: a variance has no interval near 0",
            reference=reference(np.maximum(0.0, null - null.mean()), p_value=test.p_variance, method=PERMUTED),
        ),
        *_contrasts(found, value_NC, prefix=prefix, rng=rng),
        _moran(moran, test),
    ]


def _moran(blank: Estimate, test: SpatialTest) -> Estimate:
    if test.moran is None or not len(test.null_moran_B):
        return replace(blank, notes=("the map is flat", *blank.notes))
    return replace(blank, value=test.moran, reference=reference(test.null_moran_B, p_value=None, method=PERMUTED))


def _contrasts(found: GridBlocks, value_NC: Floats, *, prefix: str, rng: np.random.Generator) -> list[Estimate]:
    """Planned differences in points; the p-value flips the sign of whole clusters, by Holm over the contrasts."""
    weights = contrast_rows(found.grid_rc)
    out, p_values = [], []
    for name, weight_C in weights.items():
        each_N = 100 * value_NC @ weight_C
        table = cluster_sums(each_N[:, None], found.cluster_N)[:, 0]
        flips = rng.choice([-1.0, 1.0], size=(DRAWS, len(table))) @ table / len(each_N)
        p_values.append(p_at_least(np.abs(flips), abs(float(each_N.mean()))))
        null = reference(flips, p_value=None, method=f"signs of clusters flipped, {DRAWS} draws")
        clusters = [str(c) for c in found.cluster_N]
        blank = unvalued(f"{prefix}_{name}", found)
        out.append(mean_estimate(blank, each_N, clusters, rng=rng, bounds=(-100.0, 100.0), reference=null))
    return [
        replace(e, adjusted=named("Holm", len(out), "contrast"), reference=replace(e.reference, p_value=p))
        for e, p in zip(out, holm(p_values), strict=True)
        if e.reference is not None
    ]
