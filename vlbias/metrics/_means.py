"""The mean of a quantity over trials or probes, with an interval that keeps clusters whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vlbias.estimates import Estimate, Reference
from vlbias.metrics._blocks import Floats, cluster_sums
from vlbias.metrics._intervals import CONSTANT, ONE_CLUSTER, bounded_mean, jackknife
from vlbias.metrics._resample import BOOTSTRAP_DRAWS, bca, bootstrap_sums

BOOTSTRAP = f"cluster bootstrap, percentile, {BOOTSTRAP_DRAWS} draws, widened for few clusters"
BCA = f"cluster bootstrap, BCa, {BOOTSTRAP_DRAWS} draws, widened for few clusters"


def mean_estimate(
    blank: Estimate,
    values_N: Floats | Sequence[float],
    clusters: Sequence[str],
    *,
    rng: np.random.Generator,
    bounds: tuple[float, float] = (0.0, 100.0),
    reference: Reference | None = None,
) -> Estimate:
    """`blank` with the mean of the values, its interval, n and clusters; without a value when there is none.

    Values within finite `bounds` have a score interval, others a BCa bootstrap over clusters.
    """
    values_N1 = np.asarray(values_N, dtype=np.float64).reshape(-1, 1)
    if not len(values_N1):
        return _filled(blank, None, None, "not available: nothing to average", n=0, clusters=0, reference=None)
    cluster_N = np.unique(list(clusters), return_inverse=True)[1].reshape(-1)
    sums_G1, n_G = cluster_sums(values_N1, cluster_N), np.bincount(cluster_N).astype(np.float64)
    value, g = float(values_N1.mean()), len(n_G)
    if np.isfinite(bounds).all():
        limits, interval = bounded_mean(sums_G1[:, 0], n_G, bounds=bounds)
    elif g < 2:
        limits, interval = None, ONE_CLUSTER
    elif np.ptp(sums_G1[:, 0] / n_G) <= 1e-12 * max(1.0, abs(value)):
        limits, interval = None, CONSTANT
    else:
        drawn_B2 = bootstrap_sums(np.column_stack([sums_G1, n_G]), rng=rng)
        left_G = jackknife(sums_G1, n_G)[:, 0]
        limits, interval = bca(drawn_B2[:, 0] / drawn_B2[:, 1], value, left_G, bounds=bounds), BCA
    return _filled(blank, value, limits, interval, n=len(values_N1), clusters=g, reference=reference)


def _filled(
    blank: Estimate,
    value: float | None,
    limits: tuple[float, float] | None,
    interval: str,
    *,
    n: int,
    clusters: int,
    reference: Reference | None,
) -> Estimate:
    low, high = limits if limits is not None else (None, None)
    return replace(
        blank, value=value, low=low, high=high, interval=interval, n=n, clusters=clusters, reference=reference
    )
