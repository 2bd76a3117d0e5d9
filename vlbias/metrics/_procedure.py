"""Decides the shape of a position curve with error control, from an array of outcomes and nothing else."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from vlbias.metrics._blocks import Floats, Ints, cluster_sums
from vlbias.metrics._position_test import contrast, contrast_rows, position_test
from vlbias.metrics._posterior import BIASED, posterior, shrunk_covariance
from vlbias.metrics._resample import PERMUTATIONS, Resampling

LEVEL = 0.05
FEW_DISCORDANT = 20
DETECTABLE = 2.80  # standard errors found with 80 % power at two-sided .05: z(.975) + z(.8)
LEAST_SHARE = 0.4


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """A planned contrast in the units of the outcome: value, clustered standard error, 95 % t interval, max-T p."""

    name: str
    value: float
    se: float
    low: float
    high: float
    p_value: float


@dataclass(frozen=True, kw_only=True)
class Decision:
    """A shape and how sure it is.

    `label` is none, head, neighbour, U, inverted U, volatile or undetermined. `confidence` of a shape is its posterior
    probability, of "none" 1 less the equivalence p-value, and None for "undetermined". `p_value` is the gate's. What
    could not be computed is None and `reason` says why.
    """

    label: str
    confidence: float | None
    p_value: float | None
    reason: str
    contrasts: tuple[Contrast, ...] = ()
    posterior: tuple[tuple[str, float], ...] = ()
    p_equivalence: float | None = None
    p_two_lines: float | None = None
    smallest_detectable: float | None = None


def decide(
    outcome_PS: Floats,
    cluster_P: Ints,
    *,
    rng: np.random.Generator,
    margin: float = 0.05,
    draws: int = PERMUTATIONS,
    level: float = LEVEL,
) -> Decision:
    """The shape of the mean curve of complete outcomes [probe, slot], 0..1, whose probes share clusters.

    1. Gate: the permutation min-p of the omnibus and of max-T over the planned contrasts must be at most `level`.
    2. Behind it, the shape with the largest posterior; it must hold 40 % of what the five biased shapes hold together.
    3. Else "none" if each planned contrast, and the first and the last slot against the middle, lie within +-`margin`
       by two one-sided tests at .05; other single slots may still differ. With fewer than 20 clusters whose answers
       change, by a bound on the share of such probes. "none" goes before a shape too, where it is shown and the
       posterior holds it more likely: slots can differ by what does not matter.
    4. Else "undetermined", with the smallest effect that this many answers would find.

    `margin` is in the units of the outcome and sets the scale of the posterior. Raises ValueError for an outcome that
    is not finite or of the wrong shape.
    """
    if outcome_PS.ndim != 2 or len(outcome_PS) != len(cluster_P) or not np.all(np.isfinite(outcome_PS)):
        raise ValueError(f"decide: needs finite outcomes [probe, slot] and a cluster each, found {outcome_PS.shape}")
    cluster_P = np.unique(cluster_P, return_inverse=True)[1].reshape(-1)
    why = unavailable(outcome_PS, cluster_P)
    if why:
        return Decision(label="undetermined", confidence=None, p_value=None, reason=f"not available: {why}")
    sums_GS, n_G = cluster_sums(outcome_PS, cluster_P), np.bincount(cluster_P).astype(np.float64)
    test = position_test(sums_GS, n_G, drawn=Resampling(rng, permutations=draws))
    half = float(special.stdtrit(len(n_G) - 1, 0.975))
    found = Decision(
        label="undetermined",
        confidence=None,
        p_value=test.p_any,
        reason="",
        contrasts=tuple(
            Contrast(name=name, value=v, se=se, low=v - half * se, high=v + half * se, p_value=p)
            for name, v, se, p in zip(test.names, test.value_K.tolist(), test.se_K.tolist(), test.p_adjusted_K.tolist())
        ),
        smallest_detectable=DETECTABLE * float(test.se_K.max()),
    )
    changing_G = cluster_sums((np.ptp(outcome_PS, axis=1) > 0).astype(np.float64)[:, None], cluster_P)[:, 0]
    found = _equivalence(found, sums_GS, n_G, changing_G=changing_G, margin=margin)
    return _shaped(found, sums_GS, n_G, margin=margin) if test.p_any <= level else _flat(found, margin=margin)


def unavailable(outcome_PS: Floats, cluster_P: Ints) -> str | None:
    """Why no shape can be had of these outcomes at all; None where it can."""
    n, n_slots = outcome_PS.shape
    if n_slots < 3:
        return f"{n_slots} slots have no middle; a shape needs three"
    if n == 0:
        return "no probe has a value at every slot"
    if len(np.unique(cluster_P)) < 2:
        return f"all {n} probes share one cluster; an effect of position cannot be told from the cluster"
    if np.ptp(outcome_PS) == 0:
        return f"all {outcome_PS.size} values are equal ({outcome_PS.flat[0]:.3g}), so position has nothing to change"
    return None


def two_lines(sums_GS: Floats, n_G: Floats, *, shape: str) -> float:
    """The p-value that the two halves slope the two ways of a U, or of an inverted U (Simonsohn 2018).

    The larger of two one-sided p-values (intersection-union). The break is the fixed middle, not the one he estimates,
    so nothing is chosen on the data. It confirms a U; it is weak as a gate.
    """
    n_slots = sums_GS.shape[1]
    half, sign = (n_slots + 1) // 2, 1.0 if shape == "U" else -1.0
    x = np.arange(half) - (half - 1) / 2
    rows_KS = np.zeros((2, n_slots))
    rows_KS[0, :half], rows_KS[1, n_slots - half :] = -x, x
    value_K, se_K = contrast(sums_GS - sums_GS.mean(axis=1, keepdims=True), n_G, sign * rows_KS)
    return max(_above(v, se, df=len(n_G) - 1) for v, se in zip(value_K.tolist(), se_K.tolist()))


def _shaped(found: Decision, sums_GS: Floats, n_G: Floats, *, margin: float) -> Decision:
    centred_GS = sums_GS - sums_GS.mean(axis=1, keepdims=True)
    curve_S = centred_GS.sum(axis=0) / n_G.sum()
    covariance_SS = shrunk_covariance(centred_GS - n_G[:, None] * curve_S, float(n_G.sum()))
    weight = posterior(curve_S, covariance_SS, margin=margin)
    best = max(BIASED, key=lambda name: weight[name])
    ranked = tuple(sorted(weight.items(), key=lambda item: -item[1]))
    found = replace(found, posterior=ranked)
    said = ", ".join(f"{name} {w:.2f}" for name, w in ranked if w >= 0.01)
    gate = f"slots differ (p = {found.p_value:.4g}); posterior: {said}"
    if found.p_equivalence is not None and found.p_equivalence <= LEVEL and weight["none"] > weight[best]:
        within = f"but by what lies within +-{100 * margin:.3g} points (equivalence p = {found.p_equivalence:.3g})"
        return replace(found, label="none", confidence=1 - found.p_equivalence, reason=f"{gate}; {within}")
    if weight[best] < LEAST_SHARE * sum(weight[name] for name in BIASED):
        return replace(found, reason=f"{gate}; no shape holds {100 * LEAST_SHARE:.0f} % of what is not none")
    if best in ("U", "inverted U"):
        p = two_lines(sums_GS, n_G, shape=best)
        found, gate = replace(found, p_two_lines=p), f"{gate}; two-lines test: p = {p:.3g}"
    return replace(found, label=best, confidence=weight[best], reason=gate)


def _equivalence(found: Decision, sums_GS: Floats, n_G: Floats, *, changing_G: Floats, margin: float) -> Decision:
    n_clusters, n_changing = len(n_G), int(np.count_nonzero(changing_G))
    if n_changing < FEW_DISCORDANT:
        p = _few_change(changing_G, n_G, margin=margin, n_slots=sums_GS.shape[1])
        how = f"{n_changing} of {n_clusters} clusters change with the slot"
        return replace(found, p_equivalence=p, reason=how)
    rows_KS = np.array([*contrast_rows(sums_GS.shape[1]).values(), *end_rows(sums_GS.shape[1])])
    value_K, se_K = contrast(sums_GS - sums_GS.mean(axis=1, keepdims=True), n_G, rows_KS)
    outside = [
        max(_above(v + margin, se, df=n_clusters - 1), _above(margin - v, se, df=n_clusters - 1))
        for v, se in zip(value_K.tolist(), se_K.tolist())
    ]
    how = f"{len(outside) - 2} planned contrasts and the first and the last slot against the middle"
    return replace(found, p_equivalence=max(outside), reason=how)


def _few_change(changing_G: Floats, n_G: Floats, *, margin: float, n_slots: int) -> float:
    """The p-value that so large a share of probes changes with the slot that a contrast could leave the margin.

    Too few clusters change for a t interval, but a probe that changes can move a contrast no further than the weights
    of one sign add up to. Exact where clusters are single probes, else the bound of a mean of independent shares
    (Hoeffding 1963, theorem 1).
    """
    rows_KS = np.array([*contrast_rows(n_slots).values(), *end_rows(n_slots)])
    most = margin / float(np.clip(rows_KS, 0.0, None).sum(axis=1).max())
    n, largest = len(n_G), float(n_G.max())
    if largest == 1.0:
        return float(special.bdtr(changing_G.sum(), n, most))
    seen, wanted = float(changing_G.mean()) / largest, most * float(n_G.mean()) / largest
    if seen >= wanted:
        return 1.0
    return math.exp(-n * float(special.rel_entr(seen, wanted) + special.rel_entr(1 - seen, 1 - wanted)))


def end_rows(n_slots: int) -> Floats:
    """The weights of the first and of the last slot, each less the mean of the middle slots, [2, S].

    The planned contrasts average the ends over slots, so a steep U of more than the margin can lie within them.
    """
    k = math.ceil(n_slots / 5)
    rows_2S = np.zeros((2, n_slots))
    rows_2S[:, k : n_slots - k] = -1.0 / (n_slots - 2 * k)
    rows_2S[0, 0] = rows_2S[1, -1] = 1.0
    return rows_2S


def _flat(found: Decision, *, margin: float) -> Decision:
    assert found.p_equivalence is not None and found.smallest_detectable is not None
    bound, size = f"+-{100 * margin:.3g} points", 100 * found.smallest_detectable
    if found.p_equivalence <= LEVEL:
        why = f"no effect found; {found.reason}, within {bound} (equivalence p = {found.p_equivalence:.3g})"
        return replace(found, label="none", confidence=1 - found.p_equivalence, reason=why)
    why = f"no effect found, but not within {bound}; smallest detectable effect about {size:.1f} points (80 % power)"
    return replace(found, reason=f"{why}; {found.reason}")


def _above(value: float, se: float, *, df: int) -> float:
    """The one-sided p-value of a value above 0; a value that is the same in every cluster is as sure as can be."""
    if se == 0.0:
        return float(value <= 0.0)
    return float(special.stdtr(df, -value / se))
