"""Measures the gap between the best and the worst slot without the luck of having picked them."""

from __future__ import annotations

import numpy as np

from vlbias.metrics._blocks import Floats
from vlbias.metrics._resample import rotations

SPLITS, NULL_SPLITS, NULL_DRAWS = 200, 20, 199


def corrected_range(sums_GP: Floats, n_G: Floats, *, rng: np.random.Generator, splits: int = SPLITS) -> float | None:
    """The gap, in the units of the outcome: slots picked on half of the clusters and measured on the other half.

    Averaged over random halves and over which half picks. Its mean is 0 where slots do not differ (it may come out
    negative), while the plain range is positive for any noise. None for fewer than four clusters.
    """
    n_clusters = len(n_G)
    if n_clusters < 4:
        return None
    rank_RG = rng.random((splits, n_clusters)).argsort(axis=1)
    first_RG = (rank_RG < n_clusters // 2).astype(np.float64)
    one_RP = first_RG @ sums_GP / (first_RG @ n_G)[:, None]
    two_RP = (1 - first_RG) @ sums_GP / ((1 - first_RG) @ n_G)[:, None]
    return float((_measured(one_RP, two_RP) + _measured(two_RP, one_RP)).mean() / 2)


def null_ranges(sums_GP: Floats, n_G: Floats, *, rng: np.random.Generator) -> Floats:
    """The same gap where the slots of each cluster are rotated or mirrored at random, [draws]."""
    turned_GMP = sums_GP[:, rotations(sums_GP.shape[1])]
    place_G = np.arange(len(sums_GP))
    picks = rng.integers(0, turned_GMP.shape[1], size=(NULL_DRAWS, len(sums_GP)))
    found = [corrected_range(turned_GMP[place_G, pick_G], n_G, rng=rng, splits=NULL_SPLITS) for pick_G in picks]
    return np.array([f for f in found if f is not None])


def _measured(picking_RP: Floats, measuring_RP: Floats) -> Floats:
    row_R = np.arange(len(picking_RP))
    best_R, worst_R = picking_RP.argmax(axis=1), picking_RP.argmin(axis=1)
    return np.asarray(measuring_RP[row_R, best_R] - measuring_RP[row_R, worst_R])
