"""Says in plain words what a run found, how sure that is, and what it does not say."""

from __future__ import annotations

from vlbias.answers import Failure, Tally
from vlbias.estimates import Estimate
from vlbias.reports import Report
from vlbias.reports import _spatial as spatial
from vlbias.reports._reading import (
    full_title,
    interval,
    is_sweep,
    n_probes,
    n_slots,
    number,
    of_order,
    p_value,
    pick,
    said,
    suite_name,
)
from vlbias.reports._text import model_name

MOST_SAID = 3
# Shares whose test is that of the index, which is said.
OF_THE_INDEX = (
    "preference_head",
    "preference_neighbour",
    "preference_head_both_orders",
    "preference_neighbour_both_orders",
)
SHAPES = {
    "none": "the ends, the middle and the slope are shown to differ by less than 5 points",
    "head": "answers are best when the evidence stands at the head, far from the question",
    "neighbour": "answers are best when the evidence stands next to the question",
    "U": "answers are best at both ends and worst in the middle",
    "inverted U": "answers are best in the middle and worst at both ends",
    "volatile": "accuracy changes from slot to slot more than chance allows, in no simple shape",
    "undetermined": "these data do not settle a shape",
}


def sentences(report: Report) -> list[str]:
    """The verdict, sentence by sentence: what was asked, the shape, how big, failures, and the limits."""
    if is_sweep(report):
        found = [_shape(pick(report, "shape")), *_sizes(report), _detectable(report)]
    elif spatial.patterns(report):
        found = spatial.sentences(report)
    else:
        tested = [e for e in of_order(report) if e.reference is not None and e.reference.p_value is not None]
        tested = [e for e in tested if e.metric not in OF_THE_INDEX]
        shown = spatial.leading(report) or tested
        found = [_tested(e) for e in shown[:MOST_SAID]] or ["No effect of order could be measured."]
    return [s for s in [_asked(report), *found, _failed(report), _limits(report)] if s]


def paragraph(report: Report) -> str:
    """The verdict as one paragraph."""
    return " ".join(sentences(report))


def _asked(report: Report) -> str:
    name, suite, slots = model_name(report.run.identity.name), suite_name(report.run), n_slots(report)
    probes = n_probes(report.outcomes)
    if probes and not is_sweep(report):
        return f"{name} was asked {probes} questions of {suite}, in {len(report.outcomes)} trials."
    if probes:
        return f"{name} was asked {probes} questions of {suite}, with the evidence of each in up to {slots} slots."
    counted = sum(o.right + o.wrong for o in report.outcomes if isinstance(o, Tally))
    if counted:
        return f"For {name} on {suite}, only counts of {counted} answers over {slots} slots are known."
    return f"{name} has no stored answers on {suite}."


def _tested(e: Estimate) -> str:
    """One number of a run without a curve, with what it would be without an effect of order."""
    bounds = f"{100 * e.confidence:.0f} % interval {interval(e)}" if e.low is not None else f"interval {interval(e)}"
    p = p_value(e)
    tested = "" if p == "–" else f", p {p if p.startswith('<') else '= ' + p}"
    return f"{full_title(e)}: {said(e)} ({bounds}{tested})."


def _shape(shape: Estimate | None) -> str:
    if shape is None or shape.label is None:
        return "The shape of the effect was not measured."
    meaning = SHAPES.get(shape.label, "")
    sure = "" if shape.value is None else f" (confidence {_percent(shape.value)})"
    why = f" ({shape.notes[0]})" if shape.label in ("none", "undetermined") and shape.notes else ""
    return f"Shape: {shape.label}{sure}{': ' + meaning if meaning else ''}{why}."


def _sizes(report: Report) -> list[str]:
    found = []
    for metric, place in (
        ("accuracy_head_minus_middle", "at the head"),
        ("accuracy_neighbour_minus_middle", "next to the question"),
    ):
        e = pick(report, metric)
        if e is None or e.value is None:
            continue
        than = "above" if e.value >= 0 else "below"
        size = f"Accuracy {place} is {number(abs(e.value), 'points')} points {than} the middle"
        p = p_value(e)
        tested = "" if p == "–" else f", p {p if p.startswith('<') else '= ' + p}"
        if e.low is None or e.high is None:
            found.append(f"{size} (interval {interval(e)}{tested}).")
        else:
            found.append(f"{size} (difference {100 * e.confidence:.0f} % interval {interval(e)}{tested}).")
    overall = pick(report, "accuracy")
    if overall is not None and overall.value is not None:
        found.append(f"Overall accuracy is {number(overall.value, 'points')} % ({interval(overall)}).")
    return found


def _percent(share: float) -> str:
    """A share that is never told as certain."""
    return "over 99 %" if share > 0.99 else f"{round(100 * share)} %"


def _detectable(report: Report) -> str:
    """What this run could have found at all: a small sample finds nothing small."""
    e = pick(report, "accuracy_smallest_detectable_effect")
    if e is None or e.value is None:
        return ""
    size = (
        f"a head effect of {number(e.value, 'points')} points from the best slot to the worst is found with power 80 %"
    )
    finer = pick(report, "gold_probability_smallest_detectable_effect")
    less = (
        f" (of {number(finer.value, 'points')} by the probability of the right option)" if finer and finer.value else ""
    )
    return f"With {e.n} probes of {e.clusters} clips that scatter as these do, {size}{less}."


def _failed(report: Report) -> str:
    failed = sum(isinstance(o, Failure) for o in report.outcomes)
    if not failed:
        return ""
    return f"{failed} of {len(report.outcomes)} trials have no answer; they are not counted as wrong."


def _limits(report: Report) -> str:
    slots = n_slots(report) if is_sweep(report) else 0
    return (
        f"This holds for this suite{f' with {slots} slots' if slots else ''}, this prompt and this model version; it "
        "says neither why the effect arises nor how the model does on other material or longer contexts."
    )
