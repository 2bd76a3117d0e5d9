"""Reads what a run over the cells of an image found: its pattern, the largest planned difference, the first map."""

from __future__ import annotations

from types import MappingProxyType

from vlbias.estimates import Estimate
from vlbias.reports import Report
from vlbias.reports._reading import interval, number, p_value
from vlbias.reports._text import clean

FIRST_MAPS = ("detection_accuracy", "canvas_loss", "needle_exact_at", "spatial_accuracy")
OF_LUCK = "_of_luck"
SIDES = MappingProxyType(
    {
        "centre_border": ("the centre", "the border"),
        "top_bottom": ("the top", "the bottom"),
        "left_right": ("the left", "the right"),
        "first_last": ("the first cell", "the last cell"),
        "checkerboard": ("even cells", "odd cells"),
    }
)
FIRST_PATTERNS = ("detection_pattern", "canvas_pattern", "needle_pattern", "spatial_pattern")
LEADING = (
    "relation_set_accuracy",
    "relation_pair_accuracy",
    "relation_accuracy",
    "rotation_accuracy",
    "rotation_kappa",
    "rotation_consistency",
    "needle_exact",
    "needle_hit_rate",
    "needle_false_alarm_rate",
)
CANVAS = "canvas_pattern"
LEANING = "spatial_leaning_pattern"
MOST_SAID = 3


def patterns(report: Report) -> list[Estimate]:
    """The patterns of the quantity that the run is about, one per way of asking; empty where it has no cells."""
    for name in FIRST_PATTERNS:
        if found := [e for e in report.estimates if e.metric == name and e.label is not None]:
            return found
    return []


def sentences(report: Report) -> list[str]:
    """Where answers are best, by how much, and where yes is said most, for each way of asking."""
    found = [_said(e, largest(report, e)) for e in patterns(report)[:MOST_SAID]]
    leaning = [e for e in report.estimates if e.metric == LEANING and e.label not in (None, "none")]
    said = "whatever is there, the thing asked for is said to be in the pattern"
    return found + [f"{clean(e.task, 60)}: {said} {e.label} ({_p(e)})." for e in leaning[:MOST_SAID]]


def headline(report: Report) -> list[Estimate]:
    """Pattern and largest planned difference of the first two ways of asking, and what leads without a pattern."""
    found: list[Estimate] = []
    for e in patterns(report)[:2]:
        difference = largest(report, e)
        found += [e] if difference is None else [e, difference]
    return [*found, *leading(report)]


def leading(report: Report) -> list[Estimate]:
    """The numbers that sum up relations, rotations and needles, each over all ways of asking where it is."""
    found = []
    for name in LEADING:
        here = [e for e in report.estimates if e.metric == name and e.value is not None]
        known = [e for e in here if e.slot is None and e.cell is None]
        found += sorted(known, key=lambda e: e.task != "all")[:1]
    return found


def largest(report: Report, pattern: Estimate) -> Estimate | None:
    """The planned difference between the sides that a pattern names; else the one farthest from 0 in standard errors.

    Sides share cells, so what makes one of them differ shows in others too.
    """
    prefix = pattern.metric.removesuffix("pattern")
    names = {prefix + side for side in SIDES}
    found = [e for e in report.estimates if e.metric in names and e.task == pattern.task and e.value is not None]
    named = [e for e in found if pattern.label and pattern.label in e.metric.removeprefix(prefix).split("_")]
    return max(named or found, key=_strength, default=None)


def leading_map(report: Report) -> str | None:
    """The metric whose maps stand in front, one per way of asking; None where nothing over cells was measured."""
    mapped = {e.metric for e in report.estimates if e.cell is not None}
    return next((metric for metric in FIRST_MAPS if metric in mapped), None)


def order_of_map(metric: str) -> tuple[int, bool]:
    """Where the maps of a metric stand on the page: those that can lead first, in each a map before that of luck."""
    plain = metric.removesuffix(OF_LUCK)
    return FIRST_MAPS.index(plain) if plain in FIRST_MAPS else len(FIRST_MAPS), metric != plain


def _said(pattern: Estimate, difference: Estimate | None) -> str:
    task = "" if pattern.task == "all" else f"{clean(pattern.task, 60)}: "
    if pattern.label == "none":
        found = "no pattern of places was found, which is not proof that there is none"
    elif pattern.label == "other":
        found = "places differ, in no simple pattern"
    else:
        best = "the label is most probable" if pattern.metric == CANVAS else "answers are best"
        found = f"{best} in the pattern {clean(pattern.label or '', 30)}"
    text = f"{task}{found} ({_p(pattern)})"
    said = "" if difference is None else "; " + _differ(difference, named=pattern.label not in ("none", "other"))
    return f"{text[0].upper()}{text[1:]}{said}."


def _differ(e: Estimate, *, named: bool) -> str:
    """The difference in words; where no pattern names its sides it was picked, and its p-value stands beside it."""
    one, other = next(sides for name, sides in SIDES.items() if e.metric.endswith(name))
    of = "the loss at " if e.metric.startswith(CANVAS.removesuffix("pattern")) else ""
    size = f"{of}{one} less {other} is {number(e.value, e.unit, signed=True)} {clean(e.unit, 20)}"
    told = [] if e.low is None else [f"{100 * e.confidence:.0f} % interval {interval(e)}"]
    picked = "" if named else "the largest of the planned differences: "
    told += [] if named else [_p(e)]
    return f"{picked}{size} ({', '.join(told)})" if told else f"{picked}{size}"


def _p(e: Estimate) -> str:
    p = p_value(e)
    return f"p {p if p.startswith('<') else '= ' + p}" if p != "–" else "not tested"


def _strength(e: Estimate) -> float:
    value = abs(e.value or 0.0)
    if e.low is None or e.high is None or e.high <= e.low:
        return value * 1e-6
    return value / (e.high - e.low)
