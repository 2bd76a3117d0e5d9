"""Says how much more often each place is taken than its even share, and tests it by turning places within clusters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vlbias.estimates import Estimate
from vlbias.metrics._blocks import Floats, cluster_sums
from vlbias.metrics._means import mean_estimate
from vlbias.metrics._resample import p_at_least, reference, rotations, variant_sums


def above_even(
    blank: Estimate,
    excess_NK: Floats,
    clusters: Sequence[str],
    *,
    rng: np.random.Generator,
    bounds: tuple[float, float],
) -> list[Estimate]:
    """One estimate per place: the mean of `excess_NK`, which is 0 at every place where none is liked.

    The reference rotates or mirrors the places of each cluster, as if all that it holds had stood elsewhere; p-values
    are of the largest excess over the places (max-T), None where there is one cluster.
    """
    n_places = excess_NK.shape[1]
    cluster_N = np.unique(list(clusters), return_inverse=True)[1].reshape(-1)
    sums_GK = cluster_sums(excess_NK, cluster_N)
    null_BK = variant_sums(sums_GK[:, rotations(n_places)], rng=rng) / len(excess_NK)
    largest_B = np.abs(null_BK).max(axis=1)
    several = len(sums_GK) > 1
    out = []
    for place, value in enumerate(excess_NK.mean(axis=0).tolist()):
        p_value = p_at_least(largest_B, abs(value)) if several else None
        null = reference(null_BK[:, place], p_value=p_value, method="places rotated or mirrored within clusters")
        one = replace(blank, slot=place, adjusted=f"max-T over {n_places} places" if several else None)
        out.append(mean_estimate(one, excess_NK[:, place], clusters, rng=rng, bounds=bounds, reference=null))
    return out
