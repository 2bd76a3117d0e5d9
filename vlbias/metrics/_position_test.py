"""Tests whether slots differ: five contrasts with max-T, and an omnibus, from one permutation of slots within clusters.

The null is that the slots of a cluster may be rotated and mirrored (Westfall and Young 1993 for max-T and min-p).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from vlbias.metrics._blocks import Floats
from vlbias.metrics._resample import ROUNDING, Resampling, rotations

CONTRASTS = ("head_minus_middle", "neighbour_minus_middle", "middle_minus_ends", "slope", "curvature")


@dataclass(frozen=True, kw_only=True, eq=False)
class PositionTest:
    """The contrasts that exist for this number of slots, and the p-values of the permutation.

    `p_adjusted_K` is max-T over the contrasts; `p_omnibus` is of the sum of squares between slots; `p_any` joins the
    two by min-p. `null_KB` and `null_omnibus_B` are the values under permutation.
    """

    names: tuple[str, ...]
    value_K: Floats
    se_K: Floats
    p_adjusted_K: Floats
    omnibus: float
    p_omnibus: float
    p_any: float
    null_KB: Floats
    null_omnibus_B: Floats


def contrast_rows(n_slots: int) -> dict[str, Floats]:
    """The weights of each contrast that can be had with this many slots; each row sums to 0.

    Ends are ceil(P / 5) slots. The slope is per full context (first slot to last); the curvature is the height of the
    ends above the middle of a parabola, positive for a U.
    """
    k = math.ceil(n_slots / 5)
    out: dict[str, Floats] = {}
    if n_slots > 2 * k:
        head = np.zeros(n_slots)
        head[:k] = 1.0 / k
        head[k : n_slots - k] = -1.0 / (n_slots - 2 * k)
        out["head_minus_middle"], out["neighbour_minus_middle"] = head, head[::-1].copy()
        out["middle_minus_ends"] = -(head + head[::-1]) / 2
    if n_slots > 1:
        x = np.arange(n_slots) / (n_slots - 1) - 0.5
        out["slope"] = x / (x @ x)
    if n_slots > 2:
        bowl = 4 * x**2
        centred = bowl - bowl.mean()
        out["curvature"] = centred / (centred @ centred)
    return {name: out[name] for name in CONTRASTS if name in out}


def contrast(sums_GP: Floats, n_G: Floats, rows_KP: Floats) -> tuple[Floats, Floats]:
    """Contrasts of the slot means and their cluster-robust standard errors (CV1: factor G / (G - 1)), [K] each."""
    score_GK = sums_GP @ rows_KP.T
    total, square, cross = score_GK.sum(axis=0), (score_GK**2).sum(axis=0), n_G @ score_GK
    value, se = _studentise(total[None], square[None], cross[None], n_G)
    return value[0], se[0]


def position_test(sums_GP: Floats, n_G: Floats, *, drawn: Resampling) -> PositionTest:
    """All of it, from cluster sums; at least two clusters and two slots are needed.

    Raises ValueError for fewer: one cluster permuted is the same curve in another order.
    """
    if len(sums_GP) < 2 or sums_GP.shape[1] < 2:
        raise ValueError(f"a position test needs two clusters and two slots, found {sums_GP.shape}")
    table = contrast_rows(sums_GP.shape[1])
    rows_KP = np.array(list(table.values()))
    centred_GP = sums_GP - sums_GP.mean(axis=1, keepdims=True)
    n = n_G.sum()
    value, se = contrast(centred_GP, n_G, rows_KP)
    omnibus = float(((centred_GP.sum(axis=0) / n) ** 2).sum())
    null_BK, null_se_BK, null_omnibus = _null(centred_GP, n_G, rows_KP, drawn=drawn)
    null_t = np.abs(_t(null_BK, null_se_BK)).max(axis=1)
    t_K = np.abs(_t(value, se))
    p_adjusted = np.array([_share_at_least(null_t, t) for t in t_K])
    both = np.column_stack([np.append(t_K.max(), null_t), np.append(omnibus, null_omnibus)])
    return PositionTest(
        names=tuple(table),
        value_K=value,
        se_K=se,
        p_adjusted_K=p_adjusted,
        omnibus=omnibus,
        p_omnibus=_share_at_least(null_omnibus, omnibus),
        p_any=_min_p(both),
        null_KB=null_BK.T,
        null_omnibus_B=null_omnibus,
    )


def _null(centred_GP: Floats, n_G: Floats, rows_KP: Floats, *, drawn: Resampling) -> tuple[Floats, Floats, Floats]:
    """Contrasts, their standard errors and the omnibus under permutation, from one pass over the clusters."""
    n_slots, k = centred_GP.shape[1], len(rows_KP)
    turned_GMP = centred_GP[:, rotations(n_slots)]
    score_GMK = turned_GMP @ rows_KP.T
    parts = [turned_GMP, score_GMK**2, score_GMK * n_G[:, None, None]]
    sums_BD = drawn.variants(np.concatenate(parts, axis=2))
    curve_BP, square_BK, cross_BK = np.split(sums_BD, [n_slots, n_slots + k], axis=1)
    value_BK, se_BK = _studentise(curve_BP @ rows_KP.T, square_BK, cross_BK, n_G)
    return value_BK, se_BK, ((curve_BP / n_G.sum()) ** 2).sum(axis=1)


def _studentise(total_BK: Floats, square_BK: Floats, cross_BK: Floats, n_G: Floats) -> tuple[Floats, Floats]:
    """Mean and CV1 standard error from sums over clusters of the score, its square and its product with n."""
    n, n_clusters = n_G.sum(), len(n_G)
    value_BK = total_BK / n
    residual_BK = square_BK - 2 * value_BK * cross_BK + value_BK**2 * (n_G @ n_G)
    se_BK = np.sqrt(n_clusters / (n_clusters - 1) * np.maximum(residual_BK, 0.0)) / n
    size = max(1.0, float(np.sqrt(square_BK.max(initial=0.0))))
    # Squares are subtracted, so a standard error of 0 comes out as the root of the rounding.
    zero_se = size * math.sqrt(ROUNDING * 1e-3) / n
    return np.where(np.abs(value_BK) < ROUNDING * size, 0.0, value_BK), np.where(se_BK < zero_se, 0.0, se_BK)


def _t(value: Floats, se: Floats) -> Floats:
    # A contrast that is the same in every cluster is more than any finite t; without one it is no effect at all.
    constant = np.where(value == 0.0, 0.0, np.sign(value) * 1e12)
    out: Floats = np.where(se > 0.0, value / np.where(se > 0.0, se, 1.0), constant)
    return out


def _share_at_least(null_B: Floats, observed: float) -> float:
    slack = ROUNDING * abs(observed)
    return float((1 + np.count_nonzero(null_B >= observed - slack)) / (1 + len(null_B)))


def _min_p(statistics_BS: Floats) -> float:
    """The p-value of the smallest p-value; row 0 is what was observed."""
    p = np.empty_like(statistics_BS)
    for s, column in enumerate(statistics_BS.T):
        ordered = np.sort(column)
        at_least = len(column) - np.searchsorted(ordered, column - ROUNDING * np.abs(column), side="left")
        p[:, s] = at_least / len(column)
    smallest = p.min(axis=1)
    return float(np.mean(smallest <= smallest[0]))
