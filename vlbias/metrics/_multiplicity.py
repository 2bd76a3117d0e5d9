"""Adjusts p-values for how many were looked at, and always names how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vlbias.estimates import Estimate


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values that keep the chance of one false alarm in the family (Holm 1979), in the order given."""
    # statsmodels has this too, but its import takes longer than all metrics of a small run.
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    out = np.empty_like(p)
    out[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p)))))
    return [float(v) for v in out]


def named(method: str, n: int, what: str) -> str:
    """What a report prints beside an adjusted p-value."""
    return f"{method} over {n} {what}s" if n > 1 else f"one {what}, not adjusted"


def over_tasks(estimates: Sequence[Estimate]) -> list[Estimate]:
    """The estimates with each metric's p-values stepped down over the tasks (Holm); "all" is no task and stays.

    A task with several p-values of one metric (its slots, already adjusted over them) counts once, by the smallest;
    the others are raised by the same factor.
    """
    out = list(estimates)
    for metric in dict.fromkeys(e.metric for e in out):
        by_task: dict[str, dict[int, float]] = {}
        for k, e in enumerate(out):
            if e.metric == metric and e.task != "all" and e.reference and e.reference.p_value is not None:
                by_task.setdefault(e.task, {})[k] = e.reference.p_value
        least = [min(mine.values()) for mine in by_task.values()]
        for mine, smallest, raised in zip(by_task.values(), least, holm(least)):
            for k, p in mine.items():
                one = out[k]
                assert one.reference is not None
                how = "; ".join(filter(None, [one.adjusted, named("Holm", len(by_task), "task")]))
                stepped = replace(one.reference, p_value=min(1.0, p * raised / smallest))
                out[k] = replace(one, adjusted=how, reference=stepped)
    return out
