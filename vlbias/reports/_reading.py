"""Finds the estimates a report shows and says them in words and numbers; it measures nothing."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType

from vlbias.answers import Outcome, Tally
from vlbias.estimates import Estimate, RunInfo
from vlbias.reports import Report
from vlbias.reports._text import clean
from vlbias.reports._titles import TITLES

PLACES = MappingProxyType(
    {
        "option_share": "displayed place",
        "option_recall": "displayed place",
        "judge_place_share": "displayed place",
        "image_accuracy": "place of the image",
        "image_index_share": "number",
        "preference_index_distance": "slots apart",
    }
)
CONTRASTS = ("head_minus_middle", "neighbour_minus_middle", "middle_minus_ends", "slope", "curvature")
SPREAD = ("flip_rate", "accuracy_range", "accuracy_variance", "accuracy_rms_effect")
LEVELS = ("accuracy", "accuracy_alone", "gold_probability", "gold_logprob")
TESTS = tuple(f"{of}_{what}" for of in ("accuracy", "gold_probability") for what in ("any_effect", *CONTRASTS))
FILL = "context_fill"
RATES = ("failure_rate", "unparsed_rate", "attrition_test")
LEVELGAUGE = "levelgauge_"
LEVELGAUGE_COLUMNS = ("Smeta", "Pran", "Pvar", "Pmean", "CM", "MR")
DRAWN = ("accuracy", "gold_probability", "gold_logprob")


def pick(report: Report, metric: str, *, task: str = "all", slot: int | None = None) -> Estimate | None:
    """The estimate of one metric, task and slot, or None when nobody measured it."""
    found = (e for e in report.estimates if (e.metric, e.task, e.slot, e.cell) == (metric, task, slot, None))
    return next(found, None)


def curve(report: Report, metric: str, *, task: str = "all") -> list[Estimate]:
    """The estimates of one metric per slot, from head to neighbour."""
    found = [e for e in report.estimates if e.metric == metric and e.task == task and e.slot is not None]
    return sorted(found, key=lambda e: -1 if e.slot is None else e.slot)


def tasks(report: Report) -> list[str]:
    """The tasks that have a curve of their own, in the order in which they were measured."""
    found = (e.task for e in report.estimates if e.metric == "accuracy" and e.slot is not None and e.task != "all")
    return list(dict.fromkeys(found))


def contrasts(report: Report) -> list[Estimate]:
    """The tests of position on all tasks together: accuracy first, then the probability of the right option."""
    return [e for name in TESTS if (e := pick(report, name)) is not None]


def known(estimates: Sequence[Estimate]) -> list[Estimate]:
    """The estimates that have a value or a word."""
    return [e for e in estimates if e.value is not None or e.label is not None]


def has_intervals(estimates: Sequence[Estimate]) -> bool:
    """Whether any of the estimates has an interval."""
    return any(e.low is not None for e in estimates)


def missing(estimates: Sequence[Estimate]) -> str:
    """Which estimates could not be had, and why, as one sentence; empty when all could."""
    lost = [e for e in estimates if e.value is None and e.label is None]
    if not lost:
        return ""
    why = list(dict.fromkeys(note for e in lost for note in e.notes)) or ["no reason was recorded"]
    names = "; ".join(dict.fromkeys(title(e.metric).lower() for e in lost))
    return f"Not available: {names}. Reason: {clean('; '.join(why), 300)}."


def levelgauge(report: Report) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Video-LevelGauge's numbers as heads and rows, one row per task, the average over tasks first."""
    found = {(e.task, e.metric): e for e in report.estimates if e.metric.startswith(LEVELGAUGE) and e.slot is None}
    names = [name for name in LEVELGAUGE_COLUMNS if any(m == LEVELGAUGE + name for _, m in found)]
    rows = []
    for task in dict.fromkeys(t for t, _ in found):
        cells = [found.get((task, LEVELGAUGE + name)) for name in names]
        rows.append(("average" if task == "all" else clean(task, 60), *(_gauged(e) for e in cells)))
    return ("Task", *names), rows


def _gauged(e: Estimate | None) -> str:
    if e is None or (e.value is None and e.label is None):
        return "–"
    if e.label is not None:
        return clean(e.label, 30)
    return f"{e.value:.3f}" if e.metric == LEVELGAUGE + "CM" else number(e.value, "points")


def methods(estimates: Sequence[Estimate]) -> list[tuple[str, str]]:
    """How intervals and p-values were made, each way once, with the names of the estimates that it made."""
    made: dict[str, list[str]] = {}
    for e in estimates:
        by = (e.interval, e.reference.method if e.reference else "", e.adjusted)
        how = "; ".join(clean(part, 300) for part in by if part)
        if how:
            made.setdefault(how, []).append(title(e.metric))
    return [(how, ", ".join(dict.fromkeys(names))) for how, names in made.items()]


def is_sweep(report: Report) -> bool:
    """Whether a curve over slots is what the run is about, and not another order."""
    own = [e.metric for e in report.estimates if e.metric not in (*RATES, FILL)]
    return not own or any(m in (*LEVELS, "shape") or m.startswith(LEVELGAUGE) for m in own)


def of_order(report: Report) -> list[Estimate]:
    """The numbers of a run of another order than a sweep's: tested ones first, each over all tasks where it is.

    Without any over all tasks, as where each placement is compared with one, they go by their p-value.
    """
    if is_sweep(report):
        return []
    rows = [e for e in known(others(report)) if e.slot is None and e.cell is None and e.metric not in (*RATES, FILL)]
    rows = [e for e in rows if not e.metric.endswith("_above_reference")]
    tested = [e for e in rows if e.reference is not None and e.reference.p_value is not None]
    whole = [e for e in tested if e.task == "all"] or sorted(tested, key=_p)
    return [*whole, *(e for e in rows if e.task == "all" and e not in whole)]


def _p(estimate: Estimate) -> float:
    found = estimate.reference.p_value if estimate.reference else None
    return 1.0 if found is None else found


def full_title(estimate: Estimate) -> str:
    """The title of a metric, with what of it, where it is not over all tasks."""
    if estimate.task == "all":
        return title(estimate.metric)
    joint = " " if estimate.metric.startswith("placement_") else ", "
    return f"{title(estimate.metric)}{joint}{clean(estimate.task, 60)}"


def others(report: Report) -> list[Estimate]:
    """Every estimate that no other table or figure of a page shows, so that nothing measured is lost."""
    return [e for e in report.estimates if not _shown(e)]


def _shown(e: Estimate) -> bool:
    if e.cell is not None:
        return len(e.cell) == 2 and e.value is not None
    if e.metric.startswith(LEVELGAUGE):
        return True
    if e.metric in RATES and e.value == 0 and (e.slot is not None or e.task != "all"):
        return True  # the table of failures tells that nothing failed there
    if e.slot is not None:
        return e.metric == "accuracy" or (e.task == "all" and e.metric in DRAWN)
    tests = (
        "accuracy_any_effect",
        "shape",
        *(f"{of}_{w}" for of in ("accuracy", "gold_probability") for w in CONTRASTS),
    )
    return e.metric in LEVELS or (e.task == "all" and e.metric in (*tests, *SPREAD, *RATES))


def coordinates(estimate: Estimate) -> str:
    """Where an estimate stands, for people: its slot, another place or its cell, counted from 1."""
    if estimate.cell is not None:
        return "cell " + ", ".join(str(k + 1) for k in estimate.cell)
    if estimate.slot is None:
        return ""
    if estimate.metric == "rotation_accuracy_at":
        return f"{90 * estimate.slot}°"
    return f"{_place(estimate)} {estimate.slot + 1}"


def _place(estimate: Estimate) -> str:
    """What the slot of an estimate is, in one word."""
    if estimate.metric in ("needle_accuracy_at", "needle_said"):
        return clean(estimate.task, 20)
    zone = estimate.metric.rpartition("_of_")[2]
    return zone if zone in ("ring", "row", "column") else PLACES.get(estimate.metric, "slot")


def title(metric: str) -> str:
    """A metric's name for people; an unknown one is shown as it is."""
    for prefix, said in (("accuracy_", "Accuracy"), ("gold_probability_", "Probability of the right option")):
        rest = metric.removeprefix(prefix)
        if rest != metric and rest in CONTRASTS:
            return f"{said}: {TITLES[rest].lower()}"
    return TITLES.get(metric) or clean(metric.removeprefix("levelgauge_"), 80)


def number(value: float | None, unit: str = "", *, signed: bool = False) -> str:
    """A number as printed: one decimal for points, else three digits and all before the point; a dash for none."""
    if value is None:
        return "–"
    if unit in ("points", "%"):
        value = round(value, 1) + 0.0  # a change that rounds to nothing is neither below nor above it
        text = f"{value:+.1f}" if signed and value else f"{value:.1f}"
    else:
        form = ",.0f" if abs(value) >= 999.5 else ".3g"
        text = f"{value:{'+' if signed else ''}{form}}"
    return text.replace("-", "−")


def signed(metric: str) -> bool:
    """Whether a metric is a difference, so that its sign matters; a share of changed predictions is none."""
    return not metric.endswith("_prediction_change") and metric.endswith(
        (*CONTRASTS, "minus_alone", "_change", "_index", "_index_pair", "_index_distance", "_slope")
    )


def said(estimate: Estimate) -> str:
    """The value in words: the label where there is one, the number with its unit else."""
    if estimate.label is not None:
        return clean(estimate.label, 60)
    if estimate.unit == "p-value" and estimate.value is not None:
        return f"p {_p_said(estimate.value)}"
    value = number(estimate.value, estimate.unit, signed=signed(estimate.metric))
    unit = clean(estimate.unit.removesuffix(" above an even share"), 30)  # the title says of what
    return value if estimate.value is None else f"{value} {unit}".strip()


def interval(estimate: Estimate) -> str:
    """The interval, or why there is none."""
    if estimate.low is None or estimate.high is None:
        return clean(estimate.interval, 80)
    sign = signed(estimate.metric)
    low, high = (number(v, estimate.unit, signed=sign) for v in (estimate.low, estimate.high))
    return f"{low} to {high}"


def reference(estimate: Estimate) -> str:
    """What the estimate would be with no effect of position."""
    if estimate.reference is None:
        return "–"
    low, high = (number(v, estimate.unit) for v in (estimate.reference.low, estimate.reference.high))
    return low if low == high else f"{low} to {high}"


def p_value(estimate: Estimate) -> str:
    """The p-value as printed."""
    p = estimate.reference.p_value if estimate.reference else None
    return "–" if p is None else _p_said(p).removeprefix("= ")


def _p_said(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"


def suite_name(run: RunInfo) -> str:
    """The suite's name, or the head of its hash when it has none."""
    named = run.suite.get("name") or run.suite.get("suite") or run.config.get("suite")
    return clean(named, 120) if isinstance(named, str) and named else f"suite {run.suite_sha256[:12]}"


def n_slots(report: Report) -> int:
    """How many slots the run has; 0 when nothing was asked."""
    found = [o.n_slots if isinstance(o, Tally) else o.asked.n_slots for o in report.outcomes]
    return max([*found, *(e.slot + 1 for e in report.estimates if e.slot is not None)], default=0)


def n_probes(outcomes: Sequence[Outcome]) -> int:
    """How many different probes were asked; 0 where only counts are known."""
    return len({o.asked.probe_id for o in outcomes if not isinstance(o, Tally)})
