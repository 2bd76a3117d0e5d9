"""A second opinion on the contrasts: a logistic model in which probes and clips differ at random."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import sparse, stats
from statsmodels.genmod.bayes_mixed_glm import BinomialBayesMixedGLM

from vlbias.answers import Outcome, slots
from vlbias.estimates import Estimate
from vlbias.metrics._blocks import Blocks, Floats, Ints, blocks, right_points, rows

NAMES = ("mixed_slope", "mixed_curvature")
MOST_PROBES = 400
FITTED = "logistic mixed model (probe and clip random), variational Bayes, normal"


def measure(outcomes: Sequence[Outcome], *, rng: np.random.Generator) -> list[Estimate]:
    """Slope and curvature of the log-odds of a right answer over the full context, from a logistic mixed model.

    The slot enters as a line and a parabola (positive for a U), probe and clip as normal intercepts. Complete blocks
    only; at most 400 probes, whole clips drawn at random, because the fit grows with their number. It is a check on
    the contrasts, which need no model and are primary; their signs and what they exclude should agree. Intervals are
    of the variational fit and somewhat short. statsmodels, BinomialBayesMixedGLM.
    """
    if not outcomes:
        return []
    n_slots, found = slots(outcomes), blocks(outcomes, right_points)
    blank = Estimate(metric="", unit="log-odds per full context", n=found.n, clusters=found.n_clusters,
                     notes=found.notes)  # fmt: skip
    why = _why_not(found, n_slots) if rows(outcomes) else "counts only: no answers per probe"
    if why:
        return [replace(blank, metric=name, notes=(why, *found.notes)) for name in NAMES]
    kept = _subset(found.cluster_N, rng=rng)
    if len(kept) < found.n:
        note = f"fitted to {len(kept)} of {found.n} probes, whole clips drawn at random"
        clusters = len(np.unique(found.cluster_N[kept]))
        blank = replace(blank, n=len(kept), clusters=clusters, notes=(note, *found.notes))
    mean_K, sd_K, trouble = fit(found.values_NP[kept] / 100, found.cluster_N[kept])
    if trouble:
        return [replace(blank, metric=name, notes=(trouble, *blank.notes)) for name in NAMES]
    half = float(stats.norm.ppf(0.975))
    return [
        replace(blank, metric=name, value=m, low=m - half * s, high=m + half * s, interval=FITTED)
        for name, m, s in zip(NAMES, mean_K.tolist(), sd_K.tolist())
    ]


def fit(right_NS: Floats, cluster_N: Ints) -> tuple[Floats, Floats, str | None]:
    """Mean and standard deviation of slope and curvature in log-odds, and why the fit cannot be had, if so.

    `right_NS` is 0 or 1, [probe, slot].
    """
    n, n_slots = right_NS.shape
    x = np.linspace(-0.5, 0.5, n_slots)
    bowl = 4 * x**2 - (4 * x**2).mean()
    design = np.column_stack([np.ones(n * n_slots), np.tile(x, n), np.tile(bowl, n)])
    probe, clip = np.repeat(np.arange(n), n_slots), np.repeat(np.unique(cluster_N, return_inverse=True)[1], n_slots)
    parts, kinds = [_one_hot(probe)], [np.zeros(n, dtype=np.intp)]
    n_clips = int(clip.max()) + 1
    if n_clips < n:  # where each probe has its own clip the two intercepts are one
        parts.append(_one_hot(clip))
        kinds.append(np.ones(n_clips, dtype=np.intp))
    model = BinomialBayesMixedGLM(
        right_NS.reshape(-1), design, sparse.csr_matrix(sparse.hstack(parts)), ident=np.concatenate(kinds), vcp_p=1.0
    )
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = model.fit_vb()
    trouble = next((f"the fit did not converge: {w.message}" for w in said if "converge" in str(w.message)), None)
    mean_K, sd_K = np.asarray(found.fe_mean)[1:], np.asarray(found.fe_sd)[1:]
    if not (np.all(np.isfinite(mean_K)) and np.all(np.isfinite(sd_K))):
        trouble = "the fit is not finite"
    return mean_K, sd_K, trouble


def _one_hot(index_N: Ints) -> sparse.csr_matrix:
    return sparse.csr_matrix((np.ones(len(index_N)), (np.arange(len(index_N)), index_N)))


def _subset(cluster_N: Ints, *, rng: np.random.Generator) -> Ints:
    """Probes of whole clips, drawn at random until the next clip would make too many."""
    if len(cluster_N) <= MOST_PROBES:
        return np.arange(len(cluster_N))
    order = rng.permutation(int(cluster_N.max()) + 1)
    sizes = np.bincount(cluster_N)[order]
    chosen = order[: max(1, int(np.searchsorted(np.cumsum(sizes), MOST_PROBES, side="right")))]
    return np.flatnonzero(np.isin(cluster_N, chosen))


def _why_not(found: Blocks, n_slots: int) -> str | None:
    if n_slots < 3 or found.n_clusters < 2:
        return "needs three slots and two clusters of probes with an answer at every slot"
    if not np.all(np.isin(found.values_NP, (0.0, 100.0))):
        return "several answers per slot are averaged; the model needs one right or wrong answer at each"
    if np.ptp(found.values_NP) == 0:
        return "all answers are equal, so the log-odds have no bound"
    return None
