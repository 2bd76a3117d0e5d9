"""Counts what did not come back, per slot: a failure is never a wrong answer, and may itself depend on position."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vlbias.answers import Answer, Failure, Outcome, slots
from vlbias.estimates import Estimate
from vlbias.metrics._attrition import ALARM, attrition_p
from vlbias.metrics._blocks import rows
from vlbias.metrics._means import mean_estimate
from vlbias.metrics._resample import PERMUTED


def measure(outcomes: Sequence[Outcome], *, rng: np.random.Generator) -> list[Estimate]:
    """Failure rate and unparsed rate, overall and per slot (points), and the test that missing depends on the slot.

    The overall rates count the trials without context too; `notes` tell the failures by kind. Where the slots are
    placements, `task` names each, and those that the model cannot take at all are left out of the test.
    """
    found = rows(outcomes)
    if not found:
        return []
    out = []
    placements = _by_placement(found)
    for slot in [None, *(() if placements else range(slots(found)))]:
        cell = [r for r in found if slot is None or r.asked.slot == slot]
        out += _rates(cell, Estimate(metric="", slot=slot, unit="points"), rng=rng)
    for name, cell in placements.items():
        out += _rates(cell, Estimate(metric="", task=name, unit="points"), rng=rng)
    fit = [r for cell in placements.values() if any(not _unfit(r) for r in cell) for r in cell] or found
    p_value = attrition_p(fit, rng=rng)
    note = f"missing answers depend on the slot (p < {ALARM}): no shape is reported"
    if placements:
        note = f"missing answers depend on the placement (p < {ALARM}): those that came back are not alike"
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


def _by_placement(found: Sequence[Answer | Failure]) -> dict[str, list[Answer | Failure]]:
    """The rows of each placement by its name, in the order of the suite; empty for any other kind of run."""
    by_name: dict[str, list[Answer | Failure]] = {}
    for row in sorted(found, key=lambda r: -1 if r.asked.slot is None else r.asked.slot):
        name = dict(row.asked.factors).get("placement")
        if name is None:
            return {}
        by_name.setdefault(name, []).append(row)
    return by_name


def _unfit(row: Answer | Failure) -> bool:
    return isinstance(row, Failure) and row.kind == "unfit"


def _rates(cell: Sequence[Answer | Failure], blank: Estimate, *, rng: np.random.Generator) -> list[Estimate]:
    """The failure rate and the unparsed rate of some rows."""
    out = []
    for metric, kinds in (("failure_rate", None), ("unparsed_rate", {"parse"})):
        one = replace(blank, metric=metric)
        if not cell:
            out.append(replace(one, notes=("nothing was asked here",)))
            continue
        failed = [r for r in cell if isinstance(r, Failure) and (kinds is None or r.kind in kinds)]
        notes = tuple(f"{kind}: {count}" for kind, count in sorted(Counter(r.kind for r in failed).items()))
        hit = [100.0 * (isinstance(r, Failure) and (kinds is None or r.kind in kinds)) for r in cell]
        out.append(mean_estimate(replace(one, notes=notes), hit, [r.asked.cluster_id for r in cell], rng=rng))
    return out
