"""The option probe: one question about one clip or image, its options in several orders and under several labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from vlbias.errors import BadInput
from vlbias.probes._drawn import DrawnSource, spread_tasks
from vlbias.probes._gallery import Medium, askable, asked_of, gallery, options_with
from vlbias.probes._labels import LABELS, LabelStyle
from vlbias.probes._order_suites import OrderSuite, chosen_slots, of_tasks, read_items
from vlbias.probes._orders import option_orders
from vlbias.probes._permute import permuted
from vlbias.probes._soundness import MOST_LABELS, option_faults, refuse, twice
from vlbias.probes._world import truths
from vlbias.records import Probe, Trial

METRICS = ("options", "fill", "failures")
SCREENED = True


class Suite(OrderSuite):
    """What stands in the YAML of a suite of this kind.

    `orders` is `cyclic` (all rotations), `full` (all orders), `gold_moving` (the right option at each place, the
    others in one order), or a number of orders of chance. `labels` are what names an option in the prompt.
    """

    kind: Literal["options"]
    orders: Literal["cyclic", "full", "gold_moving"] | Annotated[int, Field(ge=2, le=720)] = "cyclic"
    labels: Annotated[tuple[LabelStyle, ...], Field(min_length=1)] = ("letters",)
    medium: Medium = "clip"

    @property
    def segments(self) -> int:
        """The evidence stands alone."""
        return 1


def probes(suite: Suite, *, folder: Path) -> list[Probe]:
    """The probes of a suite, checked; their evidence stands alone."""
    drawn, items = suite.source.drawn, suite.source.items
    if drawn:
        found = draw_questions(drawn, medium=suite.medium)
    else:
        assert items is not None  # the source holds exactly one
        found = read_items(items, folder=folder)
    refuse(check(suite, found), suite=suite.name)
    return of_tasks(found, suite)


def trials(probes: Sequence[Probe], *, suite: Suite, seed: int, slots: Sequence[int] | None = None) -> Iterator[Trial]:
    """Each probe under each label style and option order; gold's first place is uniform over the probes.

    The factors are `labels` and `order`; `trial_id` is `<probe_id>/<labels>/<order>`.
    """
    if suite.prompt.style == "cloze":
        raise BadInput(f"suite {suite.name}: the style cloze shows no options, so they have no order; use letters")
    chosen_slots(slots, n_slots=1, suite=suite.name)
    orders = option_orders(probes, rule="balanced", seed=seed)
    whole = (
        Trial(
            trial_id=f"{probe.probe_id}/{style}",
            probe=probe,
            slot=0,
            n_slots=1,
            segments=(probe.evidence,),
            option_order=order,
            factors=(("labels", style),),
        )
        for probe, order in zip(probes, orders, strict=True)
        for style in suite.labels
    )
    yield from permuted(whole, rule=suite.orders, seed=seed)


def check(suite: Suite, probes: Sequence[Probe]) -> list[str]:
    """What is wrong with the probes of a suite, one sentence each; an empty list when all is well."""
    problems = twice(probes)
    most = min([MOST_LABELS, *(len(LABELS[style]) for style in suite.labels if style != "none")])
    for probe in probes:
        start = f"probe {probe.probe_id}: "
        problems += [start + fault for fault in option_faults(probe.options, most=most)]
        if probe.backgrounds:
            problems.append(f"{start}found {len(probe.backgrounds)} backgrounds; the evidence stands alone here")
    return problems


def draw_questions(source: DrawnSource, *, medium: Medium) -> list[Probe]:
    """Questions with four options about drawn clips or images, the same for the same seed; a cluster is one clip."""
    of_pool, of_tasks_, of_options = (np.random.default_rng(s) for s in np.random.SeedSequence(source.seed).spawn(3))
    pool = gallery(source, medium=medium, rng=of_pool)
    offers = [askable(content, medium=medium) for content in pool.contents]
    chosen = spread_tasks(offers, count=source.questions_per_clip, rng=of_tasks_)
    probes = []
    for content, segment, tasks in zip(pool.contents, pool.segments, chosen, strict=True):
        for number, task in enumerate(tasks):
            right = truths(content)[task]
            options = options_with(task, (right,), rng=of_options)
            probes.append(
                Probe(
                    probe_id=f"{segment.segment_id}-{number}",
                    task=task,
                    question=asked_of(content, task),
                    options=options,
                    gold=options.index(right),
                    evidence=segment,
                    backgrounds=(),
                    cluster_id=segment.segment_id,
                )
            )
    return probes
