"""Draws a band that holds the whole true curve at once, of accuracy and of the gold option's probability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vlbias.answers import Outcome, slots
from vlbias.estimates import Estimate
from vlbias.metrics._blocks import Blocks, Cell, Floats, blocks, by_task, gold_points, right_points, rows
from vlbias.metrics._intervals import score_interval
from vlbias.metrics._resample import BOOTSTRAP_DRAWS, Resampling, exact_share, widening

OUTCOMES: tuple[tuple[str, Cell], ...] = (("accuracy_band", right_points), ("gold_probability_band", gold_points))
ALL_AT_ONCE = f"simultaneous over slots: cluster bootstrap of the largest |t|, {BOOTSTRAP_DRAWS} draws, score interval"
EXACT = "simultaneous over slots: Clopper-Pearson at 1 - .05 / slots, one trial per cluster (every answer the same)"


def measure(outcomes: Sequence[Outcome], *, rng: np.random.Generator) -> list[Estimate]:
    """The mean at each slot with limits that hold at all slots together in 95 of 100 runs; points.

    Reading single slots off a curve with pointwise intervals finds a difference too often; these limits do not. The
    largest |t| over slots is bootstrapped over clusters, widened for few of them, and used in Wilson's score interval
    with the effective number of trials p (1 - p) / se^2, so that limits stay within 0 and 100.
    """
    if not outcomes:
        return []
    n_slots, drawn = slots(outcomes), Resampling(rng)
    out = []
    for metric, value in OUTCOMES:
        for task, found in by_task(blocks(outcomes, value)):
            blank = Estimate(
                metric=metric, task=task, unit="points", n=found.n, clusters=found.n_clusters, notes=found.notes
            )
            if not rows(outcomes) or found.n_clusters < 2:
                counts = "counts only: no answers per probe"
                why = "needs two clusters of probes with a value at every slot" if rows(outcomes) else counts
                out.append(replace(blank, notes=(why, *found.notes)))
            else:
                out += _band(found, blank, n_slots=n_slots, drawn=drawn)
    return out


def _band(found: Blocks, blank: Estimate, *, n_slots: int, drawn: Resampling) -> list[Estimate]:
    sums_GP, n_G = found.sums()
    mean_P = sums_GP.sum(axis=0) / n_G.sum() / 100
    se_P = clustered_se(sums_GP / 100, n_G)
    moving_P = se_P > 1e-9
    drawn_BP = np.abs(drawn.means(sums_GP / 100, n_G) - mean_P)[:, moving_P]
    largest = float(np.quantile((drawn_BP / se_P[moving_P]).max(axis=1), 0.95)) if moving_P.any() else 0.0
    out = []
    for slot, (mean, se) in enumerate(zip(mean_P.tolist(), se_P.tolist())):
        one = replace(blank, slot=slot, value=100 * mean)
        if moving_P[slot]:
            low, high = score_interval(mean, se, z=largest * widening(len(n_G)))
            out.append(replace(one, low=100 * low, high=100 * high, interval=ALL_AT_ONCE))
        elif min(mean, 1 - mean) < 1e-9:
            low, high = exact_share(round(mean) * len(n_G), len(n_G), confidence=1 - 0.05 / n_slots)
            out.append(replace(one, value=100.0 * round(mean), low=100 * low, high=100 * high, interval=EXACT))
        else:
            out.append(replace(one, interval="not available: every cluster has the same value"))
    return out


def clustered_se(sums_GP: Floats, n_G: Floats) -> Floats:
    """The standard error of the mean at each slot, clusters whole (CV1: factor G / (G - 1)), [P]."""
    residual_GP = sums_GP - n_G[:, None] * sums_GP.sum(axis=0) / n_G.sum()
    factor = len(n_G) / (len(n_G) - 1)
    return np.asarray(np.sqrt(factor * (residual_GP**2).sum(axis=0)) / n_G.sum())
