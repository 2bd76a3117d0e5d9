"""Tests a planned difference by flipping the signs of whole clusters, and steps a family of such tests down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vlbias.estimates import Estimate
from vlbias.metrics._blocks import Floats, cluster_sums
from vlbias.metrics._means import mean_estimate
from vlbias.metrics._multiplicity import holm, named
from vlbias.metrics._resample import p_at_least, reference

DRAWS = 999
POINTS = (-100.0, 100.0)


def flipped(
    blank: Estimate,
    each_N: Floats,
    clusters: Sequence[str],
    *,
    rng: np.random.Generator,
    bounds: tuple[float, float] = POINTS,
    around: float = 0.0,
) -> Estimate:
    """`blank` with the mean of `each_N`, its interval, and a two-sided p-value against a mean of `around`.

    The null is that the differences of a cluster from `around` are as likely to have the other sign, all together;
    `bounds` are those of a single value. Without values there is neither mean nor p-value.
    """
    if not len(each_N):
        return mean_estimate(blank, each_N, clusters, rng=rng, bounds=bounds)
    cluster_N = np.unique(list(clusters), return_inverse=True)[1].reshape(-1)
    sums_G = cluster_sums((each_N - around)[:, None], cluster_N)[:, 0]
    flips_B = rng.choice([-1.0, 1.0], size=(DRAWS, len(sums_G))) @ sums_G / len(each_N)
    p = p_at_least(np.abs(flips_B), abs(float((each_N - around).mean())))
    of = f" around {around:.1f}" if around else ""
    null = reference(around + flips_B, p_value=p, method=f"signs of clusters flipped{of}, {DRAWS} draws")
    return mean_estimate(blank, each_N, clusters, rng=rng, bounds=bounds, reference=null)


def stepped(found: Sequence[Estimate], *, of: str) -> list[Estimate]:
    """The estimates with their p-values stepped down over the family (Holm) and the family named; `of` is one of it.

    Those without a p-value stay as they are and do not count.
    """
    p_of = {k: e.reference.p_value for k, e in enumerate(found) if e.reference and e.reference.p_value is not None}
    out = list(found)
    for (k, _), p in zip(p_of.items(), holm(list(p_of.values())), strict=True):
        null = out[k].reference
        assert null is not None
        out[k] = replace(out[k], adjusted=named("Holm", len(p_of), of), reference=replace(null, p_value=p))
    return out
