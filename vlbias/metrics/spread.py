"""Says how much accuracy varies over slots, always beside what chance alone would make it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vlbias.answers import Outcome, slots
from vlbias.estimates import Estimate
from vlbias.metrics._blocks import Blocks, Floats, blocks, by_task, right_points, rows
from vlbias.metrics._intervals import SAME_CURVE, effect_size
from vlbias.metrics._multiplicity import over_tasks
from vlbias.metrics._resample import BOOTSTRAP_DRAWS, Resampling, p_at_least, reference
from vlbias.metrics._split_half import NULL_DRAWS, corrected_range, null_ranges

NAMES = {"accuracy_range": "points", "accuracy_variance": "points^2", "accuracy_rms_effect": "points"}
CORRECTED_RANGE = "accuracy_range_corrected"
PICKED = "not available: which slots are picked changes from half to half; read it with the reference"
BASIC = f"cluster bootstrap, basic, {BOOTSTRAP_DRAWS} draws, cut at 0; read it with the reference"


def measure(outcomes: Sequence[Outcome], *, rng: np.random.Generator) -> list[Estimate]:
    """Range, population variance and noise-corrected root mean square of the slot means of accuracy.

    Range and variance of noisy means are positive without any effect; the reference (slots permuted within clusters)
    says by how much. The root mean square has that noise taken off, and is cut at 0; `accuracy_range_corrected` picks
    the best and the worst slot on half of the clusters and measures them on the other half.
    """
    if not outcomes:
        return []
    n_slots, drawn, out = slots(outcomes), Resampling(rng), list[Estimate]()
    counts = not rows(outcomes)
    for task, found in by_task(blocks(outcomes, right_points)):
        if counts or found.n_clusters < 2 or n_slots < 2:
            note = "counts only: no answers per probe" if counts else "needs two slots and two clusters of whole probes"
            out += [_absent(name, found, task=task, note=note) for name in (*NAMES, CORRECTED_RANGE)]
        else:
            out += _estimates(found, task=task, drawn=drawn, rng=rng)
    return over_tasks(out)


def _estimates(found: Blocks, *, task: str, drawn: Resampling, rng: np.random.Generator) -> list[Estimate]:
    sums_GP, n_G = found.sums()
    curve_P, noise = sums_GP.sum(axis=0) / found.n, _noise(sums_GP, n_G)
    drawn_BP, null_BP = drawn.means(sums_GP, n_G), drawn.curves(sums_GP) / found.n
    (_, limits, how), out = effect_size(sums_GP, n_G), []
    for name, unit in NAMES.items():
        value = float(_statistic(name, curve_P[None], noise)[0])
        null_B = _statistic(name, null_BP, noise)
        one = Estimate(metric=name, task=task, value=value, unit=unit, interval=SAME_CURVE, n=found.n,
                       clusters=found.n_clusters, notes=found.notes,
                       reference=reference(null_B, p_value=p_at_least(null_B, value)))  # fmt: skip
        if name == "accuracy_rms_effect":
            low, high = limits or (None, None)
            one = replace(one, low=low, high=high, interval=how)
        elif noise > 0:
            far = 2 * value - np.quantile(_statistic(name, drawn_BP, noise), [0.975, 0.025])
            most = 100.0 if name == "accuracy_range" else np.inf
            one = replace(one, low=float(max(0.0, far[0])), high=float(min(most, max(0.0, far[1]))), interval=BASIC)
        out.append(one)
    return [*out, _split_half(found, sums_GP, n_G, task=task, rng=rng)]


def _split_half(found: Blocks, sums_GP: Floats, n_G: Floats, *, task: str, rng: np.random.Generator) -> Estimate:
    value = corrected_range(sums_GP, n_G, rng=rng)
    if value is None:
        return _absent(CORRECTED_RANGE, found, task=task, note="needs four clusters to be halved")
    null_B = null_ranges(sums_GP, n_G, rng=rng)
    method = f"slots rotated or mirrored within clusters, {NULL_DRAWS} draws"
    return Estimate(
        metric=CORRECTED_RANGE,
        task=task,
        value=value,
        unit="points",
        interval=PICKED,
        n=found.n,
        clusters=found.n_clusters,
        reference=reference(null_B, p_value=p_at_least(null_B, value), method=method),
        notes=("best and worst slot picked on half of the clusters, measured on the other", *found.notes),
    )


def _statistic(name: str, curve_BP: Floats, noise: float) -> Floats:
    if name == "accuracy_range":
        return np.asarray(np.ptp(curve_BP, axis=1), dtype=np.float64)
    variance: Floats = curve_BP.var(axis=1)
    variance = np.where(variance < 1e-18, 0.0, variance)
    return variance if name == "accuracy_variance" else np.sqrt(np.maximum(0.0, variance - noise))


def _noise(sums_GP: Floats, n_G: Floats) -> float:
    """The mean over slots of the sampling variance of a slot's distance from the mean (CV1 over clusters)."""
    centred = sums_GP - sums_GP.mean(axis=1, keepdims=True)
    residual = centred - n_G[:, None] * centred.sum(axis=0) / n_G.sum()
    total = float((residual**2).sum()) * len(n_G) / (len(n_G) - 1) / float(n_G.sum()) ** 2 / sums_GP.shape[1]
    return 0.0 if total < 1e-18 else total


def _absent(name: str, found: Blocks, *, task: str, note: str) -> Estimate:
    return Estimate(
        metric=name,
        task=task,
        unit=NAMES.get(name, "points"),
        n=found.n,
        clusters=found.n_clusters,
        notes=(note, *found.notes),
    )
