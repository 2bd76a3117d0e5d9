"""Says how the place of an image among others changes what is answered about it, by number and by content."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from vlbias.answers import Answer, Asked, Failure, Outcome
from vlbias.estimates import Estimate
from vlbias.metrics import curve, flips, spread
from vlbias.metrics._blocks import Floats, rows
from vlbias.metrics._even_share import above_even
from vlbias.metrics._multiplicity import over_tasks

SHARED = ("accuracy", "flip_rate", "flip_rate_pairs", "accuracy_range", "accuracy_rms_effect")


def measure(outcomes: Sequence[Outcome], *, rng: np.random.Generator) -> list[Estimate]:
    """Over all and by way of asking: accuracy per place, flip rate, spread, how often each number is said; points.

    `task` names the way: what is asked (index or content), the layout, the distractors. A flip is another image or
    another content, not another number: an index answer is read as the image that stands at that number. So
    `image_index_share` alone tells a liking for a number; it is 0 where wrong answers fall evenly on the others.
    """
    ways = list(_ways(outcomes))
    if len(ways) > 1:
        ways.insert(0, ("all", [row for _, mine in ways for row in mine]))
    out: list[Estimate] = []
    for name, group in ways:
        first = [_of_one_layout(row) for row in rows(group) if _as_given(row.asked)]
        found = [*curve.measure(group, rng=rng), *flips.measure(first, rng=rng), *spread.measure(group, rng=rng)]
        out += [replace(e, metric=f"image_{e.metric}", task=name) for e in found if _wanted(e)]
        numbered = [row for row in rows(group) if dict(row.asked.factors)["asks"] == "index"]
        if numbered:
            out += _index_share(numbered, name=name, rng=rng)
    return over_tasks(out)


def _ways(outcomes: Sequence[Outcome]) -> Iterator[tuple[str, list[Outcome]]]:
    groups: dict[tuple[str, ...], list[Outcome]] = {}
    for row in rows(outcomes):
        told = dict(row.asked.factors)
        if "image_at" in told:
            key = tuple(told[factor] for factor in ("asks", "layout", "distractors"))
            groups.setdefault(key, []).append(row)
    for key in sorted(groups):
        yield ", ".join(key), groups[key]


def _of_one_layout(row: Answer | Failure) -> Answer | Failure:
    """The row as one of its probe in its layout: a flip compares places, and neither image orders nor layouts."""
    name = f"{row.asked.probe_id}, {dict(row.asked.factors)['layout']}"
    return replace(row, asked=replace(row.asked, probe_id=name))


def _as_given(asked: Asked) -> bool:
    order = [int(k) for k in dict(asked.factors)["image_order"].split("-")]
    return order == sorted(order)


def _wanted(estimate: Estimate) -> bool:
    return estimate.task == "all" and estimate.metric in SHARED


def _index_share(group: Sequence[Outcome], *, name: str, rng: np.random.Generator) -> list[Estimate]:
    """Among wrong answers, how much more often a number is given than its even share, in points of wrong answers.

    Where the right number is k, a wrong answer has the n - 1 other numbers to fall on; each counts 1 / (n - 1).
    """
    wrong = [row for row in rows(group) if isinstance(row, Answer) and row.chosen is not None and not row.correct]
    if not wrong:
        return [Estimate(metric="image_index_share", task=name, unit="points", notes=("no wrong answer",))]
    n = wrong[0].asked.n_options
    blank = Estimate(metric="image_index_share", task=name, unit="points of wrong answers above an even share")
    excess_NK = np.array([_excess(row, n) for row in wrong])
    bounds = (-100.0 / (n - 1), 100.0)
    return above_even(blank, excess_NK, [row.asked.cluster_id for row in wrong], rng=rng, bounds=bounds)


def _excess(row: Answer, n: int) -> Floats:
    assert row.asked.gold is not None and row.chosen is not None
    expected = np.full(n, -100.0 / (n - 1))
    expected[row.asked.option_order.index(row.asked.gold)] = 0.0
    expected[row.asked.option_order.index(row.chosen)] += 100.0
    return expected
