"""The curves of a report, ready to draw: which estimates, which scale, which words."""

from __future__ import annotations

import math
from collections.abc import Sequence

from vlbias.estimates import Estimate
from vlbias.reports import Report
from vlbias.reports._draw import Curve
from vlbias.reports._reading import PLACES, curve, number, pick, tasks
from vlbias.reports._text import clean


def accuracy(report: Report) -> Curve | None:
    """Accuracy per slot with the probe alone, or None when nobody measured it."""
    points = curve(report, "accuracy")
    alone = pick(report, "accuracy_alone")
    return Curve(points=points, ylabel="accuracy, points", alone=alone) if _drawable(points) else None


def gold(report: Report) -> Curve | None:
    """The probability of the right option per slot, or its log-probability where only that is known."""
    points = curve(report, "gold_probability")
    if _drawable(points):
        return Curve(points=points, ylabel="probability of the right option, points")
    points = curve(report, "gold_logprob")
    return Curve(points=points, ylabel="log-probability of the right option, nats") if _drawable(points) else None


def places(report: Report) -> list[tuple[str, Curve]]:
    """What is found at each place of another order than a sweep's, by the name of the metric."""
    found = [(name, over, curve(report, name)) for name, over in PLACES.items()]
    return [
        (name, Curve(points=points, ylabel=points[0].unit.split(" ")[0], xlabel=over))
        for name, over, points in found
        if _drawable(points)
    ]


def per_task(report: Report) -> list[Curve]:
    """Accuracy per slot of every task, on one scale."""
    found = [(t, curve(report, "accuracy", task=t)) for t in tasks(report)]
    found = [(t, points) for t, points in found if _drawable(points)]
    bounds = [v for _, points in found for e in points for v in (e.value, e.low, e.high) if v is not None]
    if not bounds:
        return []
    limits = (5 * math.floor(min(bounds) / 5) - 2, 5 * math.ceil(max(bounds) / 5) + 2)
    return [Curve(points=points, ylabel="", title=clean(t, 30), limits=limits) for t, points in found]


def spoken(points: Sequence[Estimate], what: str, *, over: str = "slot") -> str:
    """A curve for those who do not see it."""
    values = "; ".join(f"{over} {(e.slot or 0) + 1}: {number(e.value, e.unit)}" for e in points)
    return f"{what} by {over}{' from head to neighbour' if over == 'slot' else ''}. {values}."


def _drawable(points: Sequence[Estimate]) -> bool:
    return any(e.value is not None for e in points)
