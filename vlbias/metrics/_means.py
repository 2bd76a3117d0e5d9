"""The mean of a quantity over trials or probes, with an interval that keeps clusters whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vlbias.estimates import Estimate, Reference
from vlbias.metrics._blocks import Floats, cluster_sums
from vlbias.metrics._resample import BOOTSTRAP_DRAWS, bootstrap_sums, exact_share, percentile

BOOTSTRAP = f"cluster bootstrap, percentile, {BOOTSTRAP_DRAWS} draws, widened for few clusters"
EXACT = "Clopper-Pearson, one trial per cluster (every value the same)"


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

    Where every value is one of two finite `bounds`, the interval is exact, with one trial per cluster.
    """
    values_N1 = np.asarray(values_N, dtype=np.float64).reshape(-1, 1)
    if not len(values_N1):
        return _filled(blank, None, None, "not available: nothing to average", n=0, clusters=0, reference=None)
    cluster_N = np.unique(list(clusters), return_inverse=True)[1].reshape(-1)
    value, g = float(values_N1.mean()), int(cluster_N.max()) + 1
    limits: tuple[float, float] | None = None
    interval = "not available: one cluster"
    if np.isfinite(bounds).all() and (values_N1 == bounds[0]).all() | (values_N1 == bounds[1]).all():
        low, high = exact_share(g if value == bounds[1] else 0, g)
        limits = (bounds[0] + (bounds[1] - bounds[0]) * low, bounds[0] + (bounds[1] - bounds[0]) * high)
        interval = EXACT
    elif g > 1 and np.ptp(values_N1) > 0:
        table = np.column_stack([cluster_sums(values_N1, cluster_N), np.bincount(cluster_N)])
        drawn = bootstrap_sums(table, rng=rng)
        limits, interval = percentile(drawn[:, 0] / drawn[:, 1], value, n_clusters=g, bounds=bounds), BOOTSTRAP
    elif g > 1:
        interval = "not available: every value is the same"
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
