"""Counts how often intervals of a share hold the truth when there are few clusters, ours beside others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import special

from vlbias.metrics._blocks import Floats
from vlbias.metrics._intervals import Limits, bounded_mean, jackknife, jackknife_se, t_quantile
from vlbias.metrics._resample import Resampling, bca, percentile
from vlbias.metrics._simulate import PROBE_SD, PROBES_PER_CLUSTER, effect_of

METHODS = ("score", "t", "percentile", "BCa")
DRAWS, TOGETHER = 999, 50


@dataclass(frozen=True, kw_only=True)
class FewClusters:
    """A share, 0..1, estimated from this many clips of 1 or more questions, 2.7 on average, whose ease they share."""

    n_clusters: int
    share: float


@dataclass(frozen=True, kw_only=True)
class Held:
    """How many of the `made` intervals of each method hold the true share."""

    case: FewClusters
    held: Counter[str]
    made: Counter[str]


def held(case: FewClusters, *, n: int, seed: int) -> Held:
    """Over `n` simulated runs, how often the 95 % interval of each method holds the truth.

    `t` and `score` use the jackknife over clusters, `percentile` and `BCa` 999 bootstraps widened for few clusters.
    """
    rng = np.random.default_rng([seed, case.n_clusters, round(1000 * case.share)])
    hits: Counter[str] = Counter()
    made: Counter[str] = Counter()
    for start in range(0, n, TOGETHER):
        right_GR, size_GR = _drawn(case, min(TOGETHER, n - start), rng)
        both_BK = Resampling(rng, bootstraps=DRAWS).sums(np.hstack([right_GR, size_GR]))
        drawn_BR = both_BK[:, : right_GR.shape[1]] / both_BK[:, right_GR.shape[1] :]
        for right_G, size_G, drawn_B in zip(right_GR.T, size_GR.T, drawn_BR.T):
            for method, limits in _limits(right_G, size_G, drawn_B):
                made[method] += 1
                hits[method] += limits[0] <= case.share <= limits[1]
    return Held(case=case, held=hits, made=made)


def _drawn(case: FewClusters, n: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Right answers and questions of each clip, [clusters, runs]."""
    centre = effect_of(np.array([case.share]))[0]
    size_GR = 1 + rng.poisson(PROBES_PER_CLUSTER - 1, size=(case.n_clusters, n))
    chance_GR = special.expit(centre + PROBE_SD * rng.normal(size=size_GR.shape))
    return rng.binomial(size_GR, chance_GR).astype(np.float64), size_GR.astype(np.float64)


def _limits(right_G: Floats, size_G: Floats, drawn_B: Floats) -> Iterator[tuple[str, Limits]]:
    limits, _ = bounded_mean(right_G, size_G, bounds=(0.0, 1.0))
    if limits is not None:
        yield "score", limits
    se, value, g = float(jackknife_se(right_G[:, None], size_G)[0]), float(right_G.sum() / size_G.sum()), len(size_G)
    if se > 1e-9:
        yield "t", (value - t_quantile(g) * se, value + t_quantile(g) * se)
        yield "percentile", percentile(drawn_B, value, n_clusters=g)
        yield "BCa", bca(drawn_B, value, jackknife(right_G[:, None], size_G)[:, 0])
