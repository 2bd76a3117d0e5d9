"""Counts the probes whose chosen option changes with the slot, whether or not it is right."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from vlbias.answers import Answer, Outcome, slots
from vlbias.estimates import Estimate
from vlbias.metrics._blocks import cluster_sums, rows
from vlbias.metrics._resample import BOOTSTRAP_DRAWS, bootstrap_sums, exact_share, percentile

NOISE = "no repeat at one slot was asked, so decoding noise is included"


def measure(outcomes: Sequence[Outcome], *, rng: np.random.Generator) -> list[Estimate]:
    """The share of probes, and of pairs of slots, whose chosen option differs; points.

    Only probes with exactly one choice at every slot enter. No gold is needed.
    """
    found = rows(outcomes)
    if not found:
        return []
    n_slots = slots(found)
    answers: dict[str, list[Answer]] = defaultdict(list)
    for row in found:
        if isinstance(row, Answer) and row.asked.slot is not None and row.chosen is not None:
            answers[row.asked.probe_id].append(row)
    asked = {r.asked.probe_id for r in found if r.asked.slot is not None}
    whole = [
        answers[p]
        for p in sorted(asked)
        if len(answers[p]) == n_slots and {a.asked.slot for a in answers[p]} == set(range(n_slots))
    ]
    lost = len(asked) - len(whole)
    notes = (NOISE, f"{lost} of {len(asked)} probes lack one choice at every slot; left out") if lost else (NOISE,)
    out = []
    for task in ["all", *sorted({w[0].asked.task for w in whole})]:
        of_task = [w for w in whole if task in ("all", w[0].asked.task)]
        out += _estimates(of_task, task=task, notes=notes, rng=rng)
    return out


def _estimates(
    probes: list[list[Answer]], *, task: str, notes: tuple[str, ...], rng: np.random.Generator
) -> list[Estimate]:
    names = ("flip_rate", "flip_rate_pairs")
    if not probes or len(probes[0]) < 2:
        note = "no probe has one choice at each of at least two slots"
        return [Estimate(metric=m, task=task, unit="points", n=len(probes), notes=(note, *notes)) for m in names]
    values_NK = np.array([_flips([a.chosen for a in probe]) for probe in probes])
    cluster_N = np.unique([p[0].asked.cluster_id for p in probes], return_inverse=True)[1].reshape(-1)
    table = np.column_stack([cluster_sums(values_NK, cluster_N), np.bincount(cluster_N)])
    drawn = bootstrap_sums(table, rng=rng)
    out = []
    for k, metric in enumerate(names):
        value, g = float(values_NK[:, k].mean()), len(table)
        low: float | None = None
        high: float | None = None
        interval = "not available: one cluster"
        if value in (0.0, 100.0):
            low, high = (100 * b for b in exact_share(g if value else 0, g))
            interval = "Clopper-Pearson, one trial per cluster (every probe the same)"
        elif g > 1:
            low, high = percentile(drawn[:, k] / drawn[:, -1], value, n_clusters=g, bounds=(0.0, 100.0))
            interval = f"cluster bootstrap, percentile, {BOOTSTRAP_DRAWS} draws, widened for few clusters"
        out.append(
            Estimate(metric=metric, task=task, value=value, unit="points", low=low, high=high, interval=interval,
                     n=len(probes), clusters=g, notes=notes)
        )  # fmt: skip
    return out


def _flips(chosen: Sequence[int | None]) -> tuple[float, float]:
    pairs = len(chosen) * (len(chosen) - 1)
    same = sum(c * (c - 1) for c in Counter(chosen).values())
    return 100.0 * (len(set(chosen)) > 1), 100.0 * (1 - same / pairs)
