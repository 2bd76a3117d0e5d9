"""Says how far the head and the neighbour end stand above the middle, and whether any slot differs at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import special

from vlbias.answers import Outcome, slots
from vlbias.estimates import Estimate
from vlbias.metrics._blocks import Blocks, blocks, by_task, gold_points, right_points, rows
from vlbias.metrics._multiplicity import over_tasks
from vlbias.metrics._position_test import CONTRASTS, PositionTest, position_test
from vlbias.metrics._resample import PERMUTED, Resampling, reference

UNITS = {"slope": "points per full context"}


def measure(outcomes: Sequence[Outcome], *, rng: np.random.Generator) -> list[Estimate]:
    """Five contrasts of accuracy and of the gold option's probability, and the omnibus test of each.

    Intervals are clustered t with G - 1 degrees of freedom. The reference of a contrast is its value when slots are
    permuted within clusters, its p-value max-T over the contrasts; the omnibus p-value joins the sum of squares
    between slots and max-T by min-p. Both are stepped down over the tasks (Holm). A flat model is called different in
    5 of 100 runs, all contrasts together. `..._in_sd` is a contrast in standard deviations of an answer about its
    probe's mean, the deviation taken as known.
    """
    if not outcomes:
        return []
    out, drawn = [], Resampling(rng)
    for prefix, value in (("accuracy", right_points), ("gold_probability", gold_points)):
        for task, found in by_task(blocks(outcomes, value)):
            out += _estimates(found, prefix=prefix, task=task, n_slots=slots(outcomes), drawn=drawn)
    out = over_tasks(out)
    return [_counts_only(e) for e in out] if not rows(outcomes) else out


def _estimates(found: Blocks, *, prefix: str, task: str, n_slots: int, drawn: Resampling) -> list[Estimate]:
    sums_GP, n_G = found.sums()
    names = [f"{prefix}_{name}" for name in CONTRASTS]
    if len(n_G) < 2 or n_slots < 2:
        note = _why_not(found, n_slots)
        return [_absent(m, found, task=task, note=note) for m in [*names, f"{prefix}_any_effect"]]
    test = position_test(sums_GP, n_G, drawn=drawn)
    out = []
    for name, metric in zip(CONTRASTS, names):
        if name in test.names:
            out.append(_contrast(test, test.names.index(name), found, metric=metric, task=task))
            out.append(_standardised(out[-1], found))
        else:
            out.append(_absent(metric, found, task=task, note=f"{n_slots} slots have no middle to compare with"))
    return [*out, _any_effect(test, found, metric=f"{prefix}_any_effect", task=task)]


def _contrast(test: PositionTest, k: int, found: Blocks, *, metric: str, task: str) -> Estimate:
    value, se = float(test.value_K[k]), float(test.se_K[k])
    half = float(special.stdtrit(found.n_clusters - 1, 0.975)) * se
    flat = se == 0.0
    notes = ("every cluster shows the same contrast, so there is no interval",) if flat else ()
    return Estimate(
        metric=metric,
        task=task,
        value=value,
        unit=UNITS.get(test.names[k], "points"),
        low=None if flat else value - half,
        high=None if flat else value + half,
        interval="not available" if flat else f"clustered t, {found.n_clusters - 1} degrees of freedom",
        n=found.n,
        clusters=found.n_clusters,
        reference=reference(test.null_KB[k], p_value=float(test.p_adjusted_K[k])),
        adjusted=f"max-T over {len(test.names)} contrasts",
        notes=(*notes, *found.notes),
    )


def _standardised(points: Estimate, found: Blocks) -> Estimate:
    """The contrast in units of the scatter of an answer about its probe's mean over slots."""
    sd = float(np.sqrt(found.values_NP.var(axis=1, ddof=1).mean()))
    one = replace(points, metric=f"{points.metric}_in_sd", unit="sd within probes", reference=None, adjusted=None)
    if sd < 1e-9 or points.value is None:
        return replace(one, value=None, low=None, high=None, notes=("no probe changes with the slot", *found.notes))
    if points.low is None or points.high is None:
        return replace(one, value=points.value / sd)
    return replace(one, value=points.value / sd, low=points.low / sd, high=points.high / sd)


def _any_effect(test: PositionTest, found: Blocks, *, metric: str, task: str) -> Estimate:
    return Estimate(
        metric=metric,
        task=task,
        value=test.omnibus,
        unit="points^2, sum over slots",
        interval="not available: a test statistic",
        n=found.n,
        clusters=found.n_clusters,
        reference=reference(test.null_omnibus_B, p_value=test.p_any, method=PERMUTED),
        adjusted=f"min-p over the omnibus and max-T over {len(test.names)} contrasts",
        notes=(f"omnibus alone: p = {test.p_omnibus:.4g}", *found.notes),
    )


def _absent(metric: str, found: Blocks, *, task: str, note: str) -> Estimate:
    return Estimate(
        metric=metric, task=task, unit="points", n=found.n, clusters=found.n_clusters, notes=(note, *found.notes)
    )


def _why_not(found: Blocks, n_slots: int) -> str:
    if n_slots < 2:
        return "one slot: there is nothing to compare"
    if found.n == 0:
        return "no probe has a value at every slot"
    return "one cluster: an effect of position cannot be told from the cluster"


def _counts_only(estimate: Estimate) -> Estimate:
    return Estimate(
        metric=estimate.metric, task=estimate.task, unit=estimate.unit, notes=("counts only: no answers per probe",)
    )
