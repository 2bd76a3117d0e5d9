"""Draws the position curve: accuracy and the gold option's log-probability at each slot, each with its reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vlbias.answers import Outcome, Tally, slots
from vlbias.estimates import Estimate
from vlbias.metrics._blocks import Blocks, Floats, blocks, by_task, gold_nats, gold_points, right_points, rows, tallies
from vlbias.metrics._resample import (
    BOOTSTRAP_DRAWS,
    bootstrap_means,
    exact_share,
    p_at_least,
    percentile,
    permuted_curves,
    reference,
)

Bounds = tuple[float, float]
POINTS: Bounds = (0.0, 100.0)
CEILING, FLOOR = 95.0, 15.0
BOOTSTRAP = f"cluster bootstrap, percentile, {BOOTSTRAP_DRAWS} draws, widened by t(G-1)/z and sqrt(G/(G-1))"
EXACT = "Clopper-Pearson, one trial per cluster (every answer the same)"


def measure(outcomes: Sequence[Outcome], *, rng: np.random.Generator) -> list[Estimate]:
    """The curve of each measure over complete blocks, for all tasks and for each.

    Accuracy and probability in points, log-probability in nats. `slot=None` is the mean over slots. Each slot's
    reference is its mean when slots are permuted within clusters; its p-value is adjusted over the slots.
    """
    if not outcomes:
        return []
    if not rows(outcomes):
        return _from_counts(tallies(outcomes))
    slots(outcomes)
    out = []
    for metric, value in (("accuracy", right_points), ("gold_logprob", gold_nats), ("gold_probability", gold_points)):
        bounds = (-np.inf, 0.0) if metric == "gold_logprob" else POINTS
        for task, found in by_task(blocks(outcomes, value)):
            out += _curve(found, metric=metric, task=task, bounds=bounds, rng=rng)
    return [*out, *_alone(outcomes, rng=rng)]


def _curve(found: Blocks, *, metric: str, task: str, bounds: Bounds, rng: np.random.Generator) -> list[Estimate]:
    blank = Estimate(
        metric=metric,
        task=task,
        unit="nats" if metric == "gold_logprob" else "points",
        n=found.n,
        clusters=found.n_clusters,
        notes=found.notes,
    )
    if found.n == 0:
        return [replace(blank, notes=("no probe has a value at every slot", *found.notes))]
    sums_GP, n_G = found.sums()
    curve_P = sums_GP.sum(axis=0) / found.n
    drawn_BP = bootstrap_means(sums_GP, n_G, rng=rng)
    flat, n_slots = float(curve_P.mean()), len(curve_P)
    overall = _with_interval(replace(blank, value=flat), drawn_BP.mean(axis=1), bounds=bounds)
    if metric == "accuracy" and not FLOOR <= flat <= CEILING:
        warning = f"overall accuracy is outside {FLOOR:.0f}-{CEILING:.0f} points: floor or ceiling can hide an effect"
        overall = replace(overall, notes=(*overall.notes, warning))
    null_BP = np.clip(permuted_curves(sums_GP, rng=rng) / found.n, *bounds)
    largest_B = np.abs(null_BP - flat).max(axis=1)
    out = [overall]
    for slot, mean in enumerate(curve_P.tolist()):
        p_value = p_at_least(largest_B, abs(mean - flat)) if len(n_G) > 1 else None
        one = replace(
            blank,
            slot=slot,
            value=mean,
            reference=reference(null_BP[:, slot], p_value=p_value),
            adjusted=f"max-T over {n_slots} slots",
        )
        out.append(_with_interval(one, drawn_BP[:, slot], bounds=bounds))
    return out


def _with_interval(estimate: Estimate, drawn_B: Floats, *, bounds: Bounds) -> Estimate:
    value, n_clusters = estimate.value, estimate.clusters
    assert value is not None and n_clusters is not None
    if value in POINTS and bounds == POINTS:
        low, high = exact_share(n_clusters if value else 0, n_clusters)
        return replace(estimate, low=100 * low, high=100 * high, interval=EXACT)
    if n_clusters < 2:
        return replace(estimate, interval="not available: one cluster")
    if float(np.ptp(drawn_B)) <= 1e-9 * max(1.0, abs(value)):
        return replace(estimate, interval="not available: every cluster has the same value")
    low, high = percentile(drawn_B, value, n_clusters=n_clusters, bounds=bounds)
    return replace(estimate, low=low, high=high, interval=BOOTSTRAP)


def _alone(outcomes: Sequence[Outcome], *, rng: np.random.Generator) -> list[Estimate]:
    """Accuracy of the probes that were answered without context; the slots play no part."""
    alone = [replace(r, asked=replace(r.asked, slot=0, n_slots=1)) for r in rows(outcomes) if r.asked.slot is None]
    out = []
    for task, found in by_task(blocks(alone, right_points)):
        if not found.n:
            note = "no usable answer to a probe without context"
            out.append(Estimate(metric="accuracy_alone", task=task, unit="points", notes=(note, *found.notes)))
            continue
        out.append(_curve(found, metric="accuracy_alone", task=task, bounds=POINTS, rng=rng)[0])
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
