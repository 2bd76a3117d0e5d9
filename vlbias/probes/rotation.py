"""The rotation probe: which turn, same or mirrored, and where something is as somebody else sees it.

After the task groups of SpinBench (arXiv 2509.25390), drawn in the plane; its data are photographs and renderings, so
numbers do not compare.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from vlbias.probes._cells import Grid, still
from vlbias.probes._choices import Pixels, QuestionSuite, Seed, Strict, need_once
from vlbias.probes._order_suites import chosen_slots
from vlbias.probes._orders import option_orders
from vlbias.probes._soundness import refuse, twice
from vlbias.probes._world import COLOURS, SHAPES
from vlbias.records import Probe, Scene, Segment, Sprite, Trial

METRICS = ("rotation", "failures")
OWN_ORDERS = True
TASK = "Rotation"
FIGURES = ("hook", "elbow", "paddle", "flag")  # none is its own mirror image, and none looks alike after a turn
QUARTERS = (0, 1, 2, 3)
TURN = "The image shows one figure twice. How is the one on the right turned, compared with the one on the left?"
TURNS = ("it is not turned", "a quarter turn clockwise", "half a turn", "a quarter turn counterclockwise")
MIRROR = "Is the figure on the right the one on the left after a turn in the plane, or a turn of its mirror image?"
MIRRORS = ("the figure, turned", "its mirror image, turned")
PERSPECTIVE = (
    "Someone stands where the {colour} arrow is and looks where it points. "
    "Where is the {thing}, as this person sees it?"
)
SIDES = ("to the left", "to the right", "in front", "behind")
_DIRECTION = {(-1, 0): 0, (1, 0): 1, (0, -1): 2, (0, 1): 3}  # in the image, as someone sees it who looks up
Form = Literal["turn", "mirror", "perspective"]


class DrawnFigures(Strict):
    """How many items, from which seed, in images of which size. An item is a figure, a look and a ground."""

    items: Annotated[int, Field(ge=2, le=100_000)]
    seed: Seed = 0
    size_px: tuple[Pixels, Pixels] = (448, 336)


class Source(Strict):
    """Where the figures come from."""

    drawn: DrawnFigures


class Suite(QuestionSuite):
    """What stands in the YAML of a suite of this kind. A trial has one image, so there is one slot."""

    kind: Literal["rotation"]
    forms: Annotated[tuple[Form, ...], Field(min_length=1)] = ("turn", "mirror", "perspective")
    source: Source

    @model_validator(mode="after")
    def _fits(self) -> Suite:
        width, height = self.source.drawn.size_px
        need_once("forms", self.forms)
        if min(width, height) < 64:
            raise ValueError(f"source.drawn.size_px: {width} x {height} is too small; a side needs 64 pixels")
        if self.prompt.style == "cloze":
            raise ValueError("prompt.style: cloze shows no options, and a turn has no other name; give letters")
        return self


@dataclass(frozen=True, kw_only=True)
class Item:
    """What the questions of one item share. `start` is the turn of the first figure, in quarters."""

    name: str
    figure: str
    colour: str
    start: int
    thing: tuple[str, str]
    ground: Scene

    def pair(self, turn: int, *, mirrored: bool, exchanged: bool) -> Scene:
        """The figure on the left and on the right the same one, mirrored or not and turned; or the two exchanged."""
        width, height = self.ground.size_wh_px
        one = self._figure(self.start, mirrored=False)
        other = self._figure(self.start + turn, mirrored=mirrored)
        left, right = (other, one) if exchanged else (one, other)
        radius = min(0.3, 0.17 * width / height)
        placed = (
            replace(left, centre_xy=(0.27, 0.5), radius=radius),
            replace(right, centre_xy=(0.73, 0.5), radius=radius),
        )
        return replace(self.ground, sprites=placed)

    def seen_from(self, facing: int, side: int) -> tuple[Scene, int]:
        """An arrow that faces up after `facing` quarters clockwise and a thing on one of its `SIDES`.

        Also the side at which the thing would be for someone who looks up, as the viewer does.
        """
        x, y = next(step for step, k in _DIRECTION.items() if k == side)
        for _ in range(facing):
            x, y = -y, x
        width, height = self.ground.size_wh_px
        away = 0.33 * min(width, height)
        arrow = Sprite(
            form="arrow", colour_rgb=COLOURS[self.colour], centre_xy=(0.5, 0.5), radius=0.13, turn_deg=90.0 * facing
        )
        at = 0.5 + x * away / width, 0.5 + y * away / height
        thing = Sprite(form=self.thing[0], colour_rgb=COLOURS[self.thing[1]], centre_xy=at, radius=0.1)
        return replace(self.ground, sprites=(arrow, thing)), _DIRECTION[x, y]

    def _figure(self, quarters: int, *, mirrored: bool) -> Sprite:
        return Sprite(
            form=self.figure,
            colour_rgb=COLOURS[self.colour],
            centre_xy=(0.5, 0.5),
            radius=0.1,
            turn_deg=90.0 * (quarters % 4),
            mirrored=mirrored,
        )


def items(n: int, *, size_px: tuple[int, int], rng: np.random.Generator) -> list[Item]:
    """`n` items; each figure comes up as often as any other to within one, all else is of chance."""
    figures = [FIGURES[k % len(FIGURES)] for k in range(n)]
    found = []
    for k, at in enumerate(rng.permutation(n)):
        colour, other = (str(c) for c in rng.choice(list(COLOURS), 2, replace=False))
        # A texture has a direction of its own, which would not turn with the figure.
        ground = replace(still((), Grid(rows=1, columns=1, size_px=size_px), rng=rng), texture="plain")
        found.append(
            Item(
                name=f"item-{k:04d}",
                figure=figures[int(at)],
                colour=colour,
                start=int(rng.integers(4)),
                thing=(str(rng.choice(SHAPES)), other),
                ground=ground,
            )
        )
    return found


def probes(suite: Suite, *, folder: Path) -> list[Probe]:
    """All questions about every item; what distinguishes a question stands in its id as `name=value` parts."""
    del folder  # nothing is read
    drawn = suite.source.drawn
    made = items(drawn.items, size_px=drawn.size_px, rng=np.random.default_rng(drawn.seed))
    found = [probe for form in suite.forms for item in made for probe in _ASKED[form](item)]
    refuse(twice(found), suite=suite.name)
    return found


def _turns(item: Item) -> Iterator[Probe]:
    for turn in QUARTERS:
        for exchanged in (False, True):
            told = {"form": "turn", "quarters": str(turn), "exchanged": _yes(exchanged)}
            scene = item.pair(turn, mirrored=False, exchanged=exchanged)
            yield _ask(item, told, TURN, TURNS, -turn % 4 if exchanged else turn, scene)


def _mirrors(item: Item) -> Iterator[Probe]:
    for turn in QUARTERS:
        for mirrored in (False, True):
            for exchanged in (False, True):
                told = {
                    "form": "mirror",
                    "quarters": str(turn),
                    "exchanged": _yes(exchanged),
                    "same": _yes(not mirrored),
                }
                scene = item.pair(turn, mirrored=mirrored, exchanged=exchanged)
                yield _ask(item, told, MIRROR, MIRRORS, int(mirrored), scene)


def _perspectives(item: Item) -> Iterator[Probe]:
    words = PERSPECTIVE.format(colour=item.colour, thing=f"{item.thing[1]} {item.thing[0]}")
    for facing in QUARTERS:
        for side in range(len(SIDES)):
            scene, viewer = item.seen_from(facing, side)
            told = {"form": "perspective", "quarters": str(facing), "side": str(side), "viewer": str(viewer)}
            yield _ask(item, told, words, SIDES, side, scene)


_ASKED = {"turn": _turns, "mirror": _mirrors, "perspective": _perspectives}


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _ask(item: Item, told: dict[str, str], words: str, options: tuple[str, ...], gold: int, scene: Scene) -> Probe:
    name = "/".join(f"{key}={value}" for key, value in sorted({**told, "item": item.name}.items()))
    return Probe(
        probe_id=name,
        task=f"{TASK}: {told['form']}",
        question=words,
        options=options,
        gold=gold,
        evidence=Segment(segment_id=f"{name}/image", kind="image", scenes=(scene,)),
        backgrounds=(),
        cluster_id=item.name,
    )


def trials(probes: Sequence[Probe], *, suite: Suite, seed: int, slots: Sequence[int] | None = None) -> Iterator[Trial]:
    """Each question once, its right option at each letter equally often.

    The factors are those of the question: `form`, `item`, `quarters` (the turn, or where the arrow faces), `exchanged`,
    `same`, `side`, and `viewer` (the side in the viewer's frame).
    """
    chosen_slots(slots, n_slots=suite.segments, suite=suite.name)
    for probe, order in zip(probes, option_orders(probes, rule="balanced", seed=seed), strict=True):
        told = dict(part.split("=", 1) for part in probe.probe_id.split("/"))
        yield Trial(
            trial_id=probe.probe_id,
            probe=probe,
            slot=0,
            n_slots=suite.segments,
            segments=(probe.evidence,),
            option_order=order,
            factors=tuple(sorted(told.items())),
        )
