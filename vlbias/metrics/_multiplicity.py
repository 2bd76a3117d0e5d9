"""Adjusts p-values for how many were looked at, and always names how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vlbias.estimates import Estimate


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values that keep the chance of one false alarm in the family (Holm 1979), in the order given."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    out = np.empty_like(p)
    out[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p)))))
    return [float(v) for v in out]


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """P-values that keep the share of false alarms among what is called (Benjamini and Hochberg 1995)."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(-p, kind="stable")
    out = np.empty_like(p)
    out[order] = np.minimum(1.0, np.minimum.accumulate(p[order] * len(p) / (len(p) - np.arange(len(p)))))
    return [float(v) for v in out]


def named(method: str, n: int, what: str) -> str:
    """What a report prints beside an adjusted p-value."""
    return f"{method} over {n} {what}s" if n > 1 else f"one {what}, not adjusted"


def over_tasks(estimates: Sequence[Estimate]) -> list[Estimate]:
    """The estimates with each metric's p-values stepped down over the tasks (Holm); "all" is no task and stays."""
    out = list(estimates)
    for metric in dict.fromkeys(e.metric for e in out):
        places, p_values = [], []
        for k, e in enumerate(out):
            if e.metric == metric and e.task != "all" and e.reference and e.reference.p_value is not None:
                places.append(k)
                p_values.append(e.reference.p_value)
        for k, p in zip(places, holm(p_values)):
            one = out[k]
            assert one.reference is not None
            how = "; ".join(filter(None, [one.adjusted, named("Holm", len(places), "task")]))
            out[k] = replace(one, adjusted=how, reference=replace(one.reference, p_value=p))
    return out
