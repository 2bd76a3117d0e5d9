"""Counts what did not come back, per slot: a failure is never a wrong answer, and may itself depend on position."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from vlbias.answers import Answer, Failure, Outcome, slots
from vlbias.estimates import Estimate
from vlbias.metrics._attrition import ALARM, attrition_p
from vlbias.metrics._blocks import rows
from vlbias.metrics._means import mean_estimate
from vlbias.metrics._resample import PERMUTED


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
    notes = tuple(f"{kind}: {count}" for kind, count in sorted(Counter(r.kind for r in failed).items()))
    hit = [100.0 * (isinstance(r, Failure) and (kinds is None or r.kind in kinds)) for r in cell]
    blank = Estimate(metric=metric, slot=slot, unit="points", notes=notes)
    return mean_estimate(blank, hit, [r.asked.cluster_id for r in cell], rng=rng)
