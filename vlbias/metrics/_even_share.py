"""Says how much more often each place is taken than its even share, and tests it by turning places within clusters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vlbias.estimates import Estimate
from vlbias.metrics._blocks import Floats, cluster_sums
from vlbias.metrics._means import mean_estimate
from vlbias.metrics._place_test import TURNED, place_test
from vlbias.metrics._resample import Resampling, reference


def above_even(
    blank: Estimate,
    excess_NK: Floats,
    clusters: Sequence[str],
    *,
    rng: np.random.Generator,
    bounds: tuple[float, float],
) -> list[Estimate]:
    """One estimate per place: the mean of `excess_NK`, which sums to 0 over places and is 0 at all where none is liked.

    The reference rotates or mirrors the places of each cluster, as if all that it holds had stood elsewhere; p-values
    are adjusted over the places (max-T), None where there is one cluster.
    """
    n_places = excess_NK.shape[1]
    cluster_N = np.unique(list(clusters), return_inverse=True)[1].reshape(-1)
    p_P, null_BP = place_test(cluster_sums(excess_NK, cluster_N), drawn=Resampling(rng))
    several = len(set(clusters)) > 1
    out = []
    for place, p_value in enumerate(p_P.tolist()):
        null = reference(null_BP[:, place] / len(excess_NK), p_value=p_value if several else None, method=TURNED)
        one = replace(blank, slot=place, adjusted=f"max-T over {n_places} places" if several else None)
        out.append(mean_estimate(one, excess_NK[:, place], clusters, rng=rng, bounds=bounds, reference=null))
    return out
