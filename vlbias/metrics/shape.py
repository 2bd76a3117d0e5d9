"""Names the shape of the position curve, or says that it cannot be named yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vlbias.answers import Outcome, slots
from vlbias.estimates import Estimate
from vlbias.metrics._attrition import ALARM, attrition_p
from vlbias.metrics._blocks import Blocks, Cell, blocks, by_task, gold_points, right_points, rows
from vlbias.metrics._multiplicity import holm, named
from vlbias.metrics._procedure import LEVEL, Decision, decide

MARGIN_POINTS = 5.0
OUTCOMES: tuple[tuple[str, Cell], ...] = (("shape", right_points), ("shape_gold_probability", gold_points))


def measure(outcomes: Sequence[Outcome], *, rng: np.random.Generator) -> list[Estimate]:
    """The label of the curve: none, head, neighbour, U, inverted U, volatile or undetermined; its confidence as value.

    `shape` is of accuracy, `shape_gold_probability` of the right option's probability, which sees smaller effects. A
    shape needs the permutation gate at .05, per task after Holm over the tasks; "none" needs equivalence within 5
    points. The label is withheld where missing answers depend on the slot.

    Error rates of the procedure by simulation, 10 slots, accuracy .65, 120 to 1,177 probes, answers independent, sticky
    or clustered by clip, 400 runs a cell: 4 to 7 % of flat models pass the gate.
    """
    if not outcomes:
        return []
    n_slots = slots(outcomes)
    if not rows(outcomes):
        note = "counts only: no answers per probe"
        return [Estimate(metric=name, label="undetermined", interval="not available", notes=(note,))
                for name, _ in OUTCOMES]  # fmt: skip
    p_missing = attrition_p(outcomes, rng=rng)
    out = []
    for metric, value in OUTCOMES:
        found = list(by_task(blocks(outcomes, value)))
        decided = _decided([of_task for _, of_task in found], n_slots=n_slots, rng=rng)
        adjusted = named("Holm", len(found) - 1, "task")
        for (task, of_task), decision in zip(found, decided):
            if p_missing is not None and p_missing < ALARM:
                decision = _withheld(decision, f"missing answers depend on the slot (p = {p_missing:.2g})")
            out.append(_estimate(of_task, decision, metric=metric, task=task, adjusted=adjusted))
    return out


def _decided(found: Sequence[Blocks], *, n_slots: int, rng: np.random.Generator) -> list[Decision]:
    """A decision for all tasks together, then for each, whose p-values are Holm's over the tasks."""
    alone = [
        decide(b.values_NP.reshape(b.n, n_slots) / 100, b.cluster_N, rng=rng, margin=MARGIN_POINTS / 100) for b in found
    ]
    tested = [k for k in range(1, len(alone)) if alone[k].p_value is not None]
    stepped = holm([p for k in tested if (p := alone[k].p_value) is not None])
    for k, p in zip(tested, stepped):
        before = alone[k].p_value
        alone[k] = replace(alone[k], p_value=p)
        if before is not None and before <= LEVEL < p and alone[k].label != "none":
            alone[k] = _withheld(alone[k], f"p = {before:.3g} alone, {p:.3g} over all tasks")
    return alone


def _withheld(decision: Decision, why: str) -> Decision:
    return replace(decision, label="undetermined", confidence=None, reason=f"withheld: {why}; {decision.reason}")


def _estimate(found: Blocks, decision: Decision, *, metric: str, task: str, adjusted: str) -> Estimate:
    return Estimate(
        metric=metric,
        task=task,
        value=decision.confidence,
        label=decision.label,
        unit="confidence",
        interval="not available: a label; its confidence is the value",
        n=found.n,
        clusters=found.n_clusters,
        adjusted=None if task == "all" or decision.p_value is None else adjusted,
        notes=(decision.reason, *found.notes),
    )
