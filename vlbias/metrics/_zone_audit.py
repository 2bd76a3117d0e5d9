"""Accuracy by zone of the image, and what of it is left among targets of the same size and type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from vlbias.estimates import Estimate, Reference
from vlbias.metrics._blocks import Floats, Ints
from vlbias.metrics._means import mean_estimate
from vlbias.metrics._resample import bootstrap_sums, p_at_least, percentile, reference

PERMUTATIONS = 10_000
QUANTILES = 5
CHANGED = "targets permuted over zones"


@dataclass(frozen=True, kw_only=True, eq=False)
class Zoned:
    """Targets that have a prediction: 1 where it is right, the zone and the stratum of the target, and its image."""

    right_N: Floats
    zone_N: Ints
    stratum_N: Ints
    image_N: Ints
    n_zones: int


def strata(area_N: Floats, kind_N: Sequence[str], *, quantiles: int = QUANTILES) -> Ints:
    """A number for each pair of kind and fifth of the area, over all targets; equal areas fall in one fifth."""
    edges = np.quantile(area_N, np.arange(1, quantiles) / quantiles)
    fifth_N = np.searchsorted(edges, area_N, side="left")
    names = [f"{kind}/{fifth}" for kind, fifth in zip(kind_N, fifth_N, strict=True)]
    return np.unique(names, return_inverse=True)[1].reshape(-1).astype(np.intp)


def zone_estimates(found: Zoned, *, task: str, rng: np.random.Generator, draws: int = PERMUTATIONS) -> list[Estimate]:
    """Accuracy of each zone in points, its variance over zones, and border less rest, naive and stratified.

    Zone 0 is the border. The variance is a description: its reference says what luck gives, and, stratified, what luck
    and the make-up of the zones give. The contrast is planned: its interval is a bootstrap over images, its p-value a
    two-sided permutation within strata. An empty zone has no value.
    """
    out = [_accuracy(found, k, task=task, rng=rng) for k in range(found.n_zones)]
    used = np.bincount(found.zone_N, minlength=found.n_zones) > 0
    if used.sum() < 2:
        why = ("all targets lie in one zone: there is nothing to compare",)
        return [*out, Estimate(metric="zone_border_less_rest", task=task, unit="points", notes=why)]
    naive = replace(found, stratum_N=np.zeros_like(found.stratum_N))
    for name, one in (("", naive), ("_stratified", found)):
        null_BZ = permuted_counts(one, rng=rng, draws=draws)
        out.append(_variance(one, null_BZ, metric=f"zone_variance{name}", task=task))
        out.append(_border(one, null_BZ, metric=f"zone_border_less_rest{name}", task=task, rng=rng))
    return out


def permuted_counts(found: Zoned, *, rng: np.random.Generator, draws: int) -> Floats:
    """Right answers per zone when answers are permuted over the targets of each stratum, [draws, zones].

    For right and wrong this is a draw of the right ones among the zones' targets without replacement, so permutations
    need not be made one by one.
    """
    out = np.zeros((draws, found.n_zones))
    for s in np.unique(found.stratum_N):
        here = found.stratum_N == s
        per_zone = np.bincount(found.zone_N[here], minlength=found.n_zones)
        out += rng.multivariate_hypergeometric(per_zone, int(found.right_N[here].sum()), size=draws)
    return out


def border_gap(found: Zoned, weight_BN: Floats) -> Floats:
    """Accuracy at the border less the rest, in points, within strata, for each row of weights of the targets.

    Strata that have no target on one of the two sides tell nothing and have no weight; the others weigh by
    n_border n_rest / (n_border + n_rest) (Mantel and Haenszel 1959). NaN where no stratum has both.
    """
    top_B, below_B = np.zeros(len(weight_BN)), np.zeros(len(weight_BN))
    for s in np.unique(found.stratum_N):
        here = found.stratum_N == s
        sides = [here & (found.zone_N == 0), here & (found.zone_N != 0)]
        n_B2 = np.stack([weight_BN[:, m].sum(axis=1) for m in sides], axis=1)
        right_B2 = np.stack([weight_BN[:, m] @ found.right_N[m] for m in sides], axis=1)
        both_B = (n_B2 > 0).all(axis=1)
        mean_B2 = np.divide(right_B2, n_B2, out=np.zeros_like(right_B2), where=n_B2 > 0)
        total_B = np.where(both_B, n_B2.sum(axis=1), 1.0)
        share_B = np.where(both_B, n_B2.prod(axis=1) / total_B, 0.0)
        top_B += share_B * (mean_B2[:, 0] - mean_B2[:, 1])
        below_B += share_B
    return np.asarray(np.where(below_B > 0, 100 * top_B / np.where(below_B > 0, below_B, 1.0), np.nan))


def image_weights(image_N: Ints, *, rng: np.random.Generator, draws: int = 2000) -> Floats:
    """How often each target counts when images are drawn with replacement, [draws, N]."""
    return bootstrap_sums(np.eye(int(image_N.max()) + 1), rng=rng, draws=draws)[:, image_N]


def _accuracy(found: Zoned, zone: int, *, task: str, rng: np.random.Generator) -> Estimate:
    here = found.zone_N == zone
    blank = Estimate(metric="zone_accuracy", task=task, slot=zone, unit="points")
    if not here.any():
        return replace(blank, notes=("no target with a prediction lies in this zone",), clusters=0)
    return mean_estimate(blank, 100 * found.right_N[here], [str(i) for i in found.image_N[here]], rng=rng)


def _variance(found: Zoned, null_BZ: Floats, *, metric: str, task: str) -> Estimate:
    n_Z = np.bincount(found.zone_N, minlength=found.n_zones)
    used = n_Z > 0
    seen_Z = np.bincount(found.zone_N, weights=found.right_N, minlength=found.n_zones)[used] / n_Z[used]
    value, null_B = 1e4 * float(seen_Z.var()), 1e4 * (null_BZ[:, used] / n_Z[used]).var(axis=1)
    method = f"{CHANGED}{' within strata' if metric.endswith('stratified') else ''}, {len(null_BZ)} draws"
    return Estimate(
        metric=metric,
        task=task,
        value=value,
        unit="points^2",
        interval="not available: a description",
        n=len(found.right_N),
        clusters=len(np.unique(found.image_N)),
        reference=reference(null_B, p_value=p_at_least(null_B, value), method=method),
    )


def _border(found: Zoned, null_BZ: Floats, *, metric: str, task: str, rng: np.random.Generator) -> Estimate:
    n, g = len(found.right_N), len(np.unique(found.image_N))
    blank = Estimate(metric=metric, task=task, unit="points", n=n, clusters=g)
    value = float(border_gap(found, np.ones((1, n)))[0])
    if np.isnan(value) or g < 2:
        return replace(blank, notes=("no stratum has targets both at the border and elsewhere, or there is one image",))
    drawn_B = border_gap(found, image_weights(found.image_N, rng=rng))
    drawn_B = drawn_B[~np.isnan(drawn_B)]
    low, high = percentile(drawn_B, value, n_clusters=g, bounds=(-100.0, 100.0))
    # With strata and totals held, the gap moves with the right answers at the border: their count is the statistic.
    seen = float(found.right_N[found.zone_N == 0].sum())
    middle = float(null_BZ[:, 0].mean())
    p = p_at_least(np.abs(null_BZ[:, 0] - middle), abs(seen - middle))
    none = Reference(mean=0.0, low=0.0, high=0.0, p_value=p, method=f"{CHANGED}, {len(null_BZ)} draws")
    how = "bootstrap over images, percentile, 2000 draws"
    return replace(blank, value=value, low=low, high=high, interval=how, reference=none)
