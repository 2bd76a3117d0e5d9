"""The judge probe: which candidate answer about a clip or image is better, the candidates in every rotation?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from vlbias.errors import BadInput
from vlbias.probes._captions import draw_captions
from vlbias.probes._gallery import Medium
from vlbias.probes._order_suites import OrderSuite, chosen_slots, of_tasks, read_items
from vlbias.probes._orders import option_orders
from vlbias.probes._phrases import Phrase
from vlbias.probes._soundness import option_faults, refuse, twice
from vlbias.records import Probe, Trial

METRICS = ("judge", "fill", "failures")
SCREENED = True
OWN_ORDERS = True


class Suite(OrderSuite):
    """What stands in the YAML of a suite of this kind.

    `candidates` is how many are judged at once. `phrases` are said of each displayed candidate in turn; `none`, which
    must be among them, is what the others are compared with.
    """

    kind: Literal["judge"]
    candidates: Annotated[int, Field(ge=2, le=6)] = 2
    phrases: Annotated[tuple[Phrase, ...], Field(min_length=1)] = ("none",)
    medium: Medium = "clip"

    @property
    def segments(self) -> int:
        """The slots are the displayed places of the right candidate."""
        return self.candidates


def probes(suite: Suite, *, folder: Path) -> list[Probe]:
    """The probes of a suite, checked; their options are the candidates."""
    drawn, items = suite.source.drawn, suite.source.items
    if drawn:
        found = draw_captions(drawn, candidates=suite.candidates, medium=suite.medium)
    else:
        assert items is not None  # the source holds exactly one
        found = read_items(items, folder=folder)
    refuse(check(suite, found), suite=suite.name)
    return of_tasks(found, suite)


def trials(probes: Sequence[Probe], *, suite: Suite, seed: int, slots: Sequence[int] | None = None) -> Iterator[Trial]:
    """Each probe in every rotation of its candidates; with each phrase, said of each displayed place in turn.

    `slot` is the displayed place of the right candidate, which every probe visits equally often. The factors are
    `swap` (the rotation), `phrase`, and `phrase_at` where there is one. `trial_id` is `<probe_id>/swap<k>/<phrase>`.
    """
    if suite.prompt.style == "cloze":
        raise BadInput(f"suite {suite.name}: the style cloze shows no candidates, so none can be judged; use letters")
    if "none" not in suite.phrases:
        raise BadInput(f"suite {suite.name}: phrases: none is missing; phrases are compared with it, so add it")
    chosen = chosen_slots(slots, n_slots=suite.candidates, suite=suite.name)
    orders = option_orders(probes, rule="balanced", seed=seed)
    for probe, order in zip(probes, orders, strict=True):
        for swap in range(suite.candidates):
            rotated = order[swap:] + order[:swap]
            if probe.gold is None or rotated.index(probe.gold) not in chosen:
                continue
            for phrase in dict.fromkeys(suite.phrases):
                for at in [None] if phrase == "none" else range(suite.candidates):
                    place = () if at is None else (("phrase_at", str(at)),)
                    yield Trial(
                        trial_id=f"{probe.probe_id}/swap{swap}/{phrase}{'' if at is None else at}",
                        probe=probe,
                        slot=rotated.index(probe.gold),
                        n_slots=suite.candidates,
                        segments=(probe.evidence,),
                        option_order=rotated,
                        factors=(("swap", str(swap)), ("phrase", phrase), *place),
                    )


def check(suite: Suite, probes: Sequence[Probe]) -> list[str]:
    """What is wrong with the probes of a suite, one sentence each; an empty list when all is well."""
    problems = twice(probes)
    for probe in probes:
        start = f"probe {probe.probe_id}: "
        problems += [start + fault for fault in option_faults(probe.options, contained=False)]
        if len(probe.options) != suite.candidates:
            problems.append(f"{start}found {len(probe.options)} candidates; right are {suite.candidates}")
        if probe.backgrounds:
            problems.append(f"{start}found {len(probe.backgrounds)} backgrounds; the evidence stands alone here")
    return problems
