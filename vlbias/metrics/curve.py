"""Draws the position curve: accuracy and the gold option's log-probability at each slot, each with its reference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from vlbias.answers import Outcome, Tally, slots
from vlbias.estimates import Estimate
from vlbias.metrics._blocks import Blocks, Floats, blocks, by_task, gold_nats, gold_points, right_points, rows, tallies
from vlbias.metrics._intervals import CONSTANT, ONE_CLUSTER, bounded_mean, jackknife
from vlbias.metrics._means import BCA
from vlbias.metrics._multiplicity import over_tasks
from vlbias.metrics._resample import Resampling, bca, p_at_least, reference

Bounds = tuple[float, float]
POINTS: Bounds = (0.0, 100.0)
CEILING, FLOOR = 95.0, 15.0


def measure(outcomes: Sequence[Outcome], *, rng: np.random.Generator) -> list[Estimate]:
    """The curve of each measure over complete blocks, for all tasks and for each.

    Accuracy and probability in points, log-probability in nats. `slot=None` is the mean over slots. Each slot's
    reference is its mean when slots are permuted within clusters; its p-value is adjusted over the slots, and over the
    tasks. Means in points have score intervals, log-probabilities a BCa bootstrap over clusters.
    """
    if not outcomes:
        return []
    if not rows(outcomes):
        return _from_counts(tallies(outcomes))
    slots(outcomes)
    out, drawn = [], Resampling(rng)
    for metric, value in (("accuracy", right_points), ("gold_logprob", gold_nats), ("gold_probability", gold_points)):
        bounds = (-np.inf, 0.0) if metric == "gold_logprob" else POINTS
        for task, found in by_task(blocks(outcomes, value)):
            out += _curve(found, metric=metric, task=task, bounds=bounds, drawn=drawn)
    return [*over_tasks(out), *_alone(outcomes)]


def _curve(found: Blocks, *, metric: str, task: str, bounds: Bounds, drawn: Resampling) -> list[Estimate]:
    blank = _blank(found, metric=metric, task=task)
    if found.n == 0:
        return [replace(blank, notes=("no probe has a value at every slot", *found.notes))]
    sums_GP, n_G = found.sums()
    curve_P = sums_GP.sum(axis=0) / found.n
    flat, n_slots = float(curve_P.mean()), len(curve_P)
    null_BP = np.clip(drawn.curves(sums_GP) / found.n, *bounds)
    largest_B = np.abs(null_BP - flat).max(axis=1)
    columns_GK = np.column_stack([sums_GP.mean(axis=1), sums_GP])
    whole, *each = _limits(columns_GK, n_G, bounds=bounds, drawn=drawn)
    out = [_warned(_with_limits(replace(blank, value=flat), whole))]
    for slot, (mean, limits) in enumerate(zip(curve_P.tolist(), each)):
        p_value = p_at_least(largest_B, abs(mean - flat)) if len(n_G) > 1 else None
        one = replace(
            blank,
            slot=slot,
            value=mean,
            reference=reference(null_BP[:, slot], p_value=p_value),
            adjusted=f"max-T over {n_slots} slots",
        )
        out.append(_with_limits(one, limits))
    return out


def _blank(found: Blocks, *, metric: str, task: str) -> Estimate:
    unit = "nats" if metric == "gold_logprob" else "points"
    return Estimate(metric=metric, task=task, unit=unit, n=found.n, clusters=found.n_clusters, notes=found.notes)


def _limits(
    sums_GK: Floats, n_G: Floats, *, bounds: Bounds, drawn: Resampling
) -> Iterator[tuple[tuple[float, float] | None, str]]:
    """The interval of the mean of each column, and how it was made or why there is none."""
    if bounds == POINTS:
        yield from (bounded_mean(column_G, n_G) for column_G in sums_GK.T)
        return
    means_BK = drawn.means(sums_GK, n_G) if len(n_G) > 1 else None
    for k, value in enumerate((sums_GK.sum(axis=0) / n_G.sum()).tolist()):
        if means_BK is None:
            yield None, ONE_CLUSTER
        elif float(np.ptp(means_BK[:, k])) <= 1e-9 * max(1.0, abs(value)):
            yield None, CONSTANT
        else:
            yield bca(means_BK[:, k], value, jackknife(sums_GK[:, [k]], n_G)[:, 0], bounds=bounds), BCA


def _with_limits(estimate: Estimate, made: tuple[tuple[float, float] | None, str]) -> Estimate:
    (low, high), interval = made[0] or (None, None), made[1]
    return replace(estimate, low=low, high=high, interval=interval)


def _warned(overall: Estimate) -> Estimate:
    if overall.metric != "accuracy" or overall.value is None or FLOOR <= overall.value <= CEILING:
        return overall
    warning = f"overall accuracy is outside {FLOOR:.0f}-{CEILING:.0f} points: floor or ceiling can hide an effect"
    return replace(overall, notes=(*overall.notes, warning))


def _alone(outcomes: Sequence[Outcome]) -> list[Estimate]:
    """Accuracy of the probes that were answered without context; the slots play no part."""
    alone = [replace(r, asked=replace(r.asked, slot=0, n_slots=1)) for r in rows(outcomes) if r.asked.slot is None]
    out = []
    for task, found in by_task(blocks(alone, right_points)):
        blank = _blank(found, metric="accuracy_alone", task=task)
        if not found.n:
            out.append(replace(blank, notes=("no usable answer to a probe without context", *found.notes)))
            continue
        sums_G1, n_G = found.sums()
        out.append(_with_limits(replace(blank, value=float(found.values_NP.mean())), bounded_mean(sums_G1[:, 0], n_G)))
    return out


def _from_counts(found: Sequence[Tally]) -> list[Estimate]:
    out = []
    slots(found)
    for task in ["all", *sorted({t.task for t in found})]:
        of_task = [t for t in found if task in ("all", t.task)]
        for slot in [None, *sorted({t.slot for t in of_task if t.slot is not None})]:
            cell = [t for t in of_task if (t.slot is not None if slot is None else t.slot == slot)]
            out.append(_count(cell, metric="accuracy", task=task, slot=slot))
        out.append(_count([t for t in of_task if t.slot is None], metric="accuracy_alone", task=task, slot=None))
    return out


def _count(cell: Sequence[Tally], *, metric: str, task: str, slot: int | None) -> Estimate:
    right, n = sum(t.right for t in cell), sum(t.right + t.wrong for t in cell)
    return Estimate(
        metric=metric,
        task=task,
        slot=slot,
        value=100.0 * right / n if n else None,
        unit="points",
        interval="not available: counts only",
        n=n,
        notes=("from counts: probes are not known one by one",) if n else ("no counts",),
    )
