"""The insertion probe: one clip with the evidence stands in each slot among backgrounds whose order is fixed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from vlbias.probes import _drawn, _items, _levelgauge
from vlbias.probes._choices import FramesChoice, OneSource, SuiteHead
from vlbias.probes._contexts import Context, read_given
from vlbias.probes._drawn import DrawnSource
from vlbias.probes._item_faults import plainly
from vlbias.probes._items import ItemsSource
from vlbias.probes._levelgauge import LevelGaugeSource
from vlbias.probes._order_suites import chosen_slots, of_tasks
from vlbias.probes._orders import OrderRule, option_orders
from vlbias.probes._paths import place
from vlbias.probes._soundness import same, twice
from vlbias.records import Probe, Segment, Trial


class Source(OneSource[ItemsSource | DrawnSource | LevelGaugeSource]):
    """Where the probes come from: exactly one of an item file, drawing, and a file of Video-LevelGauge."""

    items: ItemsSource | None = None
    drawn: DrawnSource | None = None
    levelgauge: LevelGaugeSource | None = None


class Suite(SuiteHead):
    """What stands in the YAML of a suite of this kind.

    `segments` counts the evidence and its backgrounds. `context` is what surrounds the evidence: clips (multi), cuts
    of one film (short, long), passages (text), both (interleaved), or frames of one colour (template).
    """

    kind: Literal["insertion"]
    tasks: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    segments: Annotated[int, Field(ge=2, le=64)] = 10
    context: Context = "multi"
    option_orders: OrderRule = "balanced"
    include_alone: bool = True
    frames: FramesChoice = FramesChoice()
    source: Source

    @model_validator(mode="after")
    def _fits(self) -> Suite:
        needs_shapes = self.context not in ("template", "short")
        if self.source.drawn and needs_shapes and self.segments > _drawn.MOST_SEGMENTS:
            most = _drawn.MOST_SEGMENTS
            raise ValueError(
                f"segments: found {self.segments}; a drawn suite has {most} shapes, so at most {most} segments"
            )
        return self


def probes(suite: Suite, *, folder: Path) -> list[Probe]:
    """The probes of a suite, checked against its files; relative paths start at `folder`, the suite's place."""
    return of_tasks(_probes(suite, folder=folder), suite)


def trials(probes: Sequence[Probe], *, suite: Suite, seed: int, slots: Sequence[int] | None = None) -> Iterator[Trial]:
    """Each probe in each slot and, where the suite says so, alone; as in Video-LevelGauge (its section 3).

    At slot k the evidence is inserted before background k, which is `list.insert(k)` into one fixed order. The options
    of a probe are displayed in the same order at every slot. `trial_id` is `<probe_id>/<NN-kk>`, NN-NN when alone.
    """
    chosen = chosen_slots(slots, n_slots=suite.segments, suite=suite.name)
    orders = option_orders(probes, rule=suite.option_orders, seed=seed)
    alone: list[int | None] = [None] if suite.include_alone else []
    for probe, order in zip(probes, orders, strict=True):
        for slot in [*chosen, *alone]:
            code = suite.segments if slot is None else slot
            yield Trial(
                trial_id=f"{probe.probe_id}/{suite.segments:02d}-{code:02d}",
                probe=probe,
                slot=slot,
                n_slots=suite.segments,
                segments=_inserted(probe, slot),
                option_order=order,
            )


def check(suite: Suite, probes: Sequence[Probe]) -> list[str]:
    """What is wrong with the probes of a suite, one sentence each; an empty list when all is well.

    Options may contain each other, as those of published benchmarks do: a reply is only read as a whole, and an answer
    scored by its text counts as the longest option that it begins with.
    """
    problems = twice(probes)
    for probe in probes:
        start = f"probe {probe.probe_id}: "
        if len(probe.backgrounds) != suite.segments - 1:
            problems.append(f"{start}found {len(probe.backgrounds)} backgrounds; right are {suite.segments - 1}")
        if len(set(map(plainly, probe.options))) != len(probe.options):
            problems.append(f"{start}an option stands twice; make them differ")
        if probe.gold is not None and len(probe.options) < 2:
            problems.append(f"{start}found {len(probe.options)} option; give at least 2")
        if any(same(segment, probe.evidence) for segment in probe.backgrounds):
            problems.append(f"{start}a background is the evidence itself; take another clip")
    return problems


def _probes(suite: Suite, *, folder: Path) -> list[Probe]:
    source, segments, context = suite.source, suite.segments, suite.context
    if source.drawn:
        return _drawn.draw(source.drawn, segments=segments, context=context)
    if source.levelgauge:
        remedy = _levelgauge.REMEDY
        file, media = source.levelgauge.json_, source.levelgauge.videos
        background, film_s = source.levelgauge.background, source.levelgauge.duration_s
    else:
        assert source.items is not None  # Source holds exactly one
        remedy = "set it to the folder of your data, or give the path itself"
        file, media = source.items.file, source.items.media
        background, film_s = source.items.background, source.items.duration_s
    paths = [
        place(text, folder=folder, environment=os.environ, remedy=remedy) if text is not None else None
        for text in (file, media, background)
    ]
    assert paths[0] is not None and paths[1] is not None
    given = read_given(paths[2], context=context, film_s=film_s)
    if source.levelgauge:
        return _levelgauge.read(paths[0], videos=paths[1], segments=segments, context=context, given=given)
    return _items.read(paths[0], media=paths[1], segments=segments, context=context, given=given)


def _inserted(probe: Probe, slot: int | None) -> tuple[Segment, ...]:
    if slot is None:
        return (probe.evidence,)
    return (*probe.backgrounds[:slot], probe.evidence, *probe.backgrounds[slot:])
