"""The conflict probe: two segments contradict each other about the question; who is believed, and from which slots?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from vlbias.probes import _rivals
from vlbias.probes._gallery import Medium
from vlbias.probes._order_suites import OrderSuite, chosen_slots, of_tasks, read_items
from vlbias.probes._orders import OrderRule, option_orders
from vlbias.probes._rivals import RivalMedium
from vlbias.probes._soundness import option_faults, refuse, same, twice
from vlbias.probes._world import SHAPES
from vlbias.records import Probe, Segment, Trial

METRICS = ("preference", "fill", "failures")


class Suite(OrderSuite):
    """What stands in the YAML of a suite of this kind.

    `segments` counts the two that contradict each other and their backgrounds. `evidence` and `rival` say what a drawn
    suite makes of the two: clips, images, or, for the rival, a passage of text.
    """

    kind: Literal["conflict"]
    segments: Annotated[int, Field(ge=2, le=64)] = 6
    evidence: Medium = "clip"
    rival: RivalMedium = "clip"
    option_orders: OrderRule = "balanced"

    @model_validator(mode="after")
    def _fits(self) -> Suite:
        most = len(SHAPES) + 1
        if self.source.drawn and self.segments > most:
            raise ValueError(f"segments: found {self.segments}; a drawn suite has {len(SHAPES)} shapes, at most {most}")
        return self


def probes(suite: Suite, *, folder: Path) -> list[Probe]:
    """The probes of a suite, checked; the segment that contradicts the evidence is the first background."""
    drawn, items = suite.source.drawn, suite.source.items
    if drawn:
        found = _rivals.draw_rivals(drawn, segments=suite.segments, evidence=suite.evidence, rival=suite.rival)
    else:
        assert items is not None  # the source holds exactly one
        found = read_items(items, folder=folder)
    refuse(check(suite, found), suite=suite.name)
    return of_tasks(found, suite)


def trials(probes: Sequence[Probe], *, suite: Suite, seed: int, slots: Sequence[int] | None = None) -> Iterator[Trial]:
    """Each probe at every pair of slots, in both orders of content.

    `slot` is the evidence's slot and the factor `rival_slot` the other's. The factor `content_order` is `ab` where the
    evidence comes first and `ba` where the rival does; `rival_gold` is the suite's index of the rival's option. The
    options of a probe are displayed in one order throughout, so a preference for a letter helps the head in one order
    of content and the neighbour in the other. `trial_id` is `<probe_id>/<slots>-<head>-<neighbour>-<content order>`.
    """
    chosen = chosen_slots(slots, n_slots=suite.segments, suite=suite.name)
    orders = option_orders(probes, rule=suite.option_orders, seed=seed)
    for probe, order in zip(probes, orders, strict=True):
        for head, neighbour in combinations(sorted(chosen), 2):
            for content_order, (slot, rival_slot) in {"ab": (head, neighbour), "ba": (neighbour, head)}.items():
                yield Trial(
                    trial_id=f"{probe.probe_id}/{suite.segments:02d}-{head:02d}-{neighbour:02d}-{content_order}",
                    probe=probe,
                    slot=slot,
                    n_slots=suite.segments,
                    segments=_placed(probe, slot, rival_slot),
                    option_order=order,
                    factors=(
                        ("rival_slot", str(rival_slot)),
                        ("rival_gold", str(probe.rival_gold)),
                        ("content_order", content_order),
                    ),
                )


def check(suite: Suite, probes: Sequence[Probe]) -> list[str]:
    """What is wrong with the probes of a suite, one sentence each; an empty list when all is well."""
    problems = twice(probes)
    for probe in probes:
        start = f"probe {probe.probe_id}: "
        problems += [start + fault for fault in option_faults(probe.options)]
        if probe.rival_gold is None:
            problems.append(f"{start}no segment contradicts the evidence; give rival and rival_gold")
            continue
        if probe.rival_gold == probe.gold:
            answer = probe.options[probe.rival_gold]
            problems.append(f"{start}the two segments do not contradict: both say {answer!r}; give another rival_gold")
        if probe.evidence.kind == "text":
            problems.append(f"{start}the evidence is a text; make the clip or image the evidence, the text the rival")
        if len(probe.backgrounds) != suite.segments - 1:
            found = len(probe.backgrounds) - 1
            problems.append(f"{start}found {found} backgrounds besides the rival; right are {suite.segments - 2}")
        if any(same(segment, probe.evidence) for segment in probe.backgrounds):
            problems.append(f"{start}the rival or a background is the evidence itself; take another one")
        if any(same(segment, probe.backgrounds[0]) for segment in probe.backgrounds[1:]):
            problems.append(f"{start}a background is the rival itself; take another one")
    return problems


def _placed(probe: Probe, slot: int, rival_slot: int) -> tuple[Segment, ...]:
    rival, *others = probe.backgrounds
    rest = iter(others)
    fixed = {slot: probe.evidence, rival_slot: rival}
    return tuple(fixed[k] if k in fixed else next(rest) for k in range(len(probe.backgrounds) + 1))
