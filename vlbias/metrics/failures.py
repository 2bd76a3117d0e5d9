"""Counts what did not come back, per slot: a failure is never a wrong answer, and may itself depend on position."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from vlbias.answers import Answer, Failure, Outcome, slots
from vlbias.estimates import Estimate
from vlbias.metrics._attrition import ALARM, attrition_p
from vlbias.metrics._blocks import cluster_sums, rows
from vlbias.metrics._resample import PERMUTED, bootstrap_sums, exact_share, percentile


def measure(outcomes: Sequence[Outcome], *, rng: np.random.Generator) -> list[Estimate]:
    """Failure rate and unparsed rate, overall and per slot (points), and the test that missing depends on the slot.

    The overall rates count the trials without context too; `notes` tell the failures by kind.
    """
    found = rows(outcomes)
    if not found:
        return []
    out = []
    for slot in [None, *range(slots(found))]:
        cell = [r for r in found if slot is None or r.asked.slot == slot]
        out.append(_rate(cell, metric="failure_rate", kinds=None, slot=slot, rng=rng))
        out.append(_rate(cell, metric="unparsed_rate", kinds={"parse"}, slot=slot, rng=rng))
    p_value = attrition_p(found, rng=rng)
    note = f"missing answers depend on the slot (p < {ALARM}): no shape is reported"
    out.append(
        Estimate(
            metric="attrition_test",
            value=p_value,
            unit="p-value",
            interval=f"not available: a p-value; {PERMUTED}",
            n=len({r.asked.probe_id for r in found}),
            clusters=len({r.asked.cluster_id for r in found}),
            notes=("no trial with context",) if p_value is None else ((note,) if p_value < ALARM else ()),
        )
    )
    return out


def _rate(
    cell: Sequence[Answer | Failure], *, metric: str, kinds: set[str] | None, slot: int | None, rng: np.random.Generator
) -> Estimate:
    if not cell:
        return Estimate(metric=metric, slot=slot, unit="points", notes=("nothing was asked here",))
    failed = [r for r in cell if isinstance(r, Failure) and (kinds is None or r.kind in kinds)]
    hit_N1 = np.array([[100.0 * (isinstance(r, Failure) and (kinds is None or r.kind in kinds))] for r in cell])
    cluster_N = np.unique([r.asked.cluster_id for r in cell], return_inverse=True)[1].reshape(-1)
    table = np.column_stack([cluster_sums(hit_N1, cluster_N), np.bincount(cluster_N)])
    value, g = 100.0 * len(failed) / len(cell), len(table)
    low: float | None = None
    high: float | None = None
    interval = "not available: one cluster"
    if len(failed) in (0, len(cell)):
        low, high = (100 * b for b in exact_share(g if failed else 0, g))
        interval = "Clopper-Pearson, one trial per cluster (every trial the same)"
    elif g > 1:
        drawn = bootstrap_sums(table, rng=rng)
        low, high = percentile(drawn[:, 0] / drawn[:, 1], value, n_clusters=g, bounds=(0.0, 100.0))
        interval = "cluster bootstrap, percentile, 2000 draws, widened for few clusters"
    kinds_found = Counter(r.kind for r in failed)
    notes = tuple(f"{kind}: {count}" for kind, count in sorted(kinds_found.items()))
    return Estimate(metric=metric, slot=slot, value=value, unit="points", low=low, high=high, interval=interval,
                    n=len(cell), clusters=g, notes=notes)  # fmt: skip
