"""The placement probe: pieces of one prompt change places: the clip, the question, the instruction, the demos."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from vlbias.errors import BadInput
from vlbias.probes import options
from vlbias.probes._gallery import Medium
from vlbias.probes._lines import Text
from vlbias.probes._order_suites import OrderSuite, chosen_slots, of_tasks, read_items
from vlbias.probes._orders import OrderRule, option_orders
from vlbias.probes._placements import LAYOUTS, Placement
from vlbias.probes._soundness import option_faults, refuse, twice
from vlbias.records import Probe, Segment, Trial

METRICS = ("placement", "fill", "failures")
VISUAL: tuple[Placement, ...] = ("visual_first", "visual_between", "visual_last", "visual_system")


class Suite(OrderSuite):
    """What stands in the YAML of a suite of this kind.

    `placements` are compared with `baseline`, which is one of them. `demos` are worked examples in words, shown as one
    block where a placement begins with `demos_`.
    """

    kind: Literal["placement"]
    placements: Annotated[tuple[Placement, ...], Field(min_length=2)] = VISUAL
    baseline: Placement = "visual_first"
    demos: tuple[Text, ...] = ()
    medium: Medium = "clip"
    option_orders: OrderRule = "balanced"

    @property
    def segments(self) -> int:
        """The slots are the placements, in the order of the suite."""
        return len(self.placements)

    @model_validator(mode="after")
    def _fits(self) -> Suite:
        if self.baseline not in self.placements:
            raise ValueError(f"baseline: {self.baseline} is not among the placements; add it, or name one of them")
        if len(set(self.placements)) != len(self.placements):
            raise ValueError("placements: one stands twice; name each once")
        needs = [name for name in self.placements if name.startswith("demos_")]
        if needs and not self.demos:
            raise ValueError(f"demos: none given, but the placement {needs[0]} shows them; write one or more")
        return self


def probes(suite: Suite, *, folder: Path) -> list[Probe]:
    """The probes of a suite, checked; their evidence stands alone."""
    drawn, items = suite.source.drawn, suite.source.items
    if drawn:
        found = options.draw_questions(drawn, medium=suite.medium)
    else:
        assert items is not None  # the source holds exactly one
        found = read_items(items, folder=folder)
    refuse(check(suite, found), suite=suite.name)
    return of_tasks(found, suite)


def trials(probes: Sequence[Probe], *, suite: Suite, seed: int, slots: Sequence[int] | None = None) -> Iterator[Trial]:
    """Each probe in each placement; nothing else changes between them.

    `slot` counts the placements in the order of the suite. The factors are `placement`, `turn` (in which the moved
    piece stands) and `baseline`. The baseline is asked whatever `slots` says.
    """
    if suite.prompt.style == "cloze":
        raise BadInput(f"suite {suite.name}: the style cloze shows no options, so fewer places differ; use letters")
    chosen = chosen_slots(slots, n_slots=suite.segments, suite=suite.name)
    base = suite.placements.index(suite.baseline)
    orders = option_orders(probes, rule=suite.option_orders, seed=seed)
    for probe, order in zip(probes, orders, strict=True):
        for slot in sorted({base, *chosen}):
            name = suite.placements[slot]
            yield Trial(
                trial_id=f"{probe.probe_id}/{name}",
                probe=probe,
                slot=slot,
                n_slots=suite.segments,
                segments=(probe.evidence, *_block(suite, name)),
                option_order=order,
                factors=(("placement", name), ("turn", LAYOUTS[name].turn), ("baseline", suite.baseline)),
            )


def check(suite: Suite, probes: Sequence[Probe]) -> list[str]:  # noqa: ARG001  (the contract of a kind)
    """What is wrong with the probes of a suite, one sentence each; an empty list when all is well."""
    problems = twice(probes)
    for probe in probes:
        start = f"probe {probe.probe_id}: "
        problems += [start + fault for fault in option_faults(probe.options)]
        if probe.backgrounds:
            problems.append(f"{start}found {len(probe.backgrounds)} backgrounds; the evidence stands alone here")
        if probe.evidence.kind == "text":
            problems.append(f"{start}the evidence is a text; give a clip or an image")
    return problems


def _block(suite: Suite, name: Placement) -> tuple[Segment, ...]:
    """The demos as one block of text, where the placement shows them."""
    if not name.startswith("demos_"):
        return ()
    return (Segment(segment_id=f"{suite.name}-demos", kind="text", text="\n\n".join(suite.demos)),)
