"""What is said of right and wrong over places without resampling: Cochran's Q, McNemar's tests of all pairs, flips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import stats

from vlbias.estimates import Estimate, Reference
from vlbias.metrics._blocks import Floats
from vlbias.metrics._means import mean_estimate
from vlbias.metrics._multiplicity import holm
from vlbias.metrics._spatial_test import cochran_q, mcnemar_pairs

SHARED = "not available: items share clusters, and this test takes them for independent; see the pattern"
UNCHANGED = "no item changes over the places"


def changes(
    blank: Estimate,
    right_NC: Floats,
    *,
    prefix: str,
    places: Sequence[str],
    clusters: Sequence[str],
    rng: np.random.Generator,
) -> list[Estimate]:
    """Whether places differ, which pairs of them do, and how many items are not answered alike everywhere."""
    tests = exact_tests(blank, right_NC, prefix=prefix, places=places, clusters=clusters)
    return [*tests, flip_rate(blank, right_NC, clusters, prefix=prefix, rng=rng)]


def exact_tests(
    blank: Estimate, right_NC: Floats, *, prefix: str, places: Sequence[str], clusters: Sequence[str]
) -> list[Estimate]:
    """Cochran's Q over the places, and exact McNemar tests of all pairs of them by Holm.

    `right_NC` holds 0 and 1, a column per place. `blank` tells task and notes. Both suppose items that are independent
    of each other, one to a cluster; else they are not available.
    """
    n, n_places = right_NC.shape
    blank = replace(blank, n=n, clusters=len(set(clusters)))
    q_blank = replace(blank, metric=f"{prefix}_cochran_q", unit=f"chi2, {n_places - 1} df")
    pairs_blank = replace(blank, metric=f"{prefix}_pairs_apart", unit="pairs of cells")
    why = SHARED if len(set(clusters)) < n else None
    q = None if why else cochran_q(right_NC)
    if q is None:
        return [replace(e, notes=(why or UNCHANGED, *e.notes)) for e in (q_blank, pairs_blank)]
    return [_q(q_blank, q, df=n_places - 1), _pairs(pairs_blank, right_NC, places=places)]


def flip_rate(
    blank: Estimate, right_NC: Floats, clusters: Sequence[str], *, prefix: str, rng: np.random.Generator
) -> Estimate:
    """The share of items that are not answered alike at every place, in points."""
    changes_N = 100.0 * (np.ptp(right_NC, axis=1) > 0)
    return mean_estimate(replace(blank, metric=f"{prefix}_flip_rate", unit="points"), changes_N, clusters, rng=rng)


def _q(blank: Estimate, q: tuple[float, float], *, df: int) -> Estimate:
    low, high = (float(v) for v in stats.chi2.ppf([0.025, 0.975], df))
    about = Reference(mean=float(df), low=low, high=high, p_value=q[1], method="chi squared (Cochran 1950)")
    return replace(blank, value=q[0], interval="not available: a test statistic", reference=about)


def _pairs(blank: Estimate, right_NC: Floats, *, places: Sequence[str]) -> Estimate:
    pairs, p_P = mcnemar_pairs(right_NC)
    stepped = holm(p_P.tolist())
    least = min(range(len(pairs)), key=lambda k: stepped[k])
    one, other = (places[c] for c in pairs[least])
    return replace(
        blank,
        value=float(sum(p <= 0.05 for p in stepped)),
        interval="not available: a count of tests",
        adjusted=f"exact McNemar, Holm over {len(pairs)} pairs",
        notes=(f"most apart: {one} and {other}, p = {stepped[least]:.4g}", *blank.notes),
    )


def cell_names(grid_rc: tuple[int, int]) -> tuple[str, ...]:
    """The cells in raster order in words, counted from 1."""
    return tuple(f"row {r + 1} column {c + 1}" for r in range(grid_rc[0]) for c in range(grid_rc[1]))
