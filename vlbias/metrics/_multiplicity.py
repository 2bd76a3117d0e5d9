"""Adjusts p-values for how many were looked at, and always names how."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


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
