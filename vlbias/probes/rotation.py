"""The rotation probe: which turn, same or mirrored, and where something is as somebody else sees it.

After the task groups of SpinBench (arXiv 2509.25390), drawn in the plane, or with a picture of the user in the place
of the figure and of the thing that is looked for; its data are photographs and renderings, so numbers do not compare.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from vlbias.probes._cells import image, need_even
from vlbias.probes._choices import Pixels, QuestionSuite, Seed, Strict, need_once
from vlbias.probes._order_suites import chosen_slots
from vlbias.probes._orders import option_orders
from vlbias.probes._pictures import LEAST_SHOWN_PX, LaterPictures, Pictures, Thing, read_pictures
from vlbias.probes._rotation_scenes import SIDES, Item, drawn_items, own_items, thing_px, twin_px
from vlbias.probes._soundness import holds, refuse, twice
from vlbias.probes._symmetry import symmetry
from vlbias.records import Probe, Scene, Trial

METRICS = ("rotation", "failures")
OWN_ORDERS = True
TASK = "Rotation"
QUARTERS = (0, 1, 2, 3)
TURN = "The image shows one {figure} twice. How is the one on the right turned, compared with the one on the left?"
TURNS = ("it is not turned", "a quarter turn clockwise", "half a turn", "a quarter turn counterclockwise")
MIRROR = "Is the {figure} on the right the one on the left after a turn in the plane, or a turn of its mirror image?"
MIRRORS = ("the {figure}, turned", "its mirror image, turned")
PERSPECTIVE = "Someone stands where the {colour} arrow is and looks where it points. "
WHERE = {
    "figure": "Where is the {thing}, as this person sees it?",
    "picture": "Where is the picture of this, as this person sees it: {thing}?",
}
Form = Literal["turn", "mirror", "perspective"]


class DrawnFigures(Strict):
    """How many items, from which seed, in images of which size. An item is a figure, a look and a ground."""

    items: Annotated[int, Field(ge=2, le=100_000)]
    seed: Seed = 0
    size_px: tuple[Pixels, Pixels] = (448, 336)


class PicturesTurned(Pictures):
    """Pictures of the user, an item each, in images of `size_px`."""

    size_px: tuple[Pixels, Pixels] = (672, 504)


class Source(LaterPictures[DrawnFigures | PicturesTurned]):
    """Where the figures come from: exactly one of drawing and the user's pictures."""

    drawn: DrawnFigures | None = None
    pictures: PicturesTurned | None = None


class Suite(QuestionSuite):
    """What stands in the YAML of a suite of this kind. A trial has one image, so there is one slot."""

    kind: Literal["rotation"]
    forms: Annotated[tuple[Form, ...], Field(min_length=1)] = ("turn", "mirror", "perspective")
    source: Source

    @property
    def figure(self) -> str:
        """What a question calls that which is shown twice."""
        return "figure" if self.source.drawn else "picture"

    @property
    def room_px(self) -> int:
        """The side of the smallest square in which the forms show a picture."""
        size_px = self.source.given.size_px
        rooms = {"turn": twin_px(size_px), "mirror": twin_px(size_px), "perspective": thing_px(size_px)}
        return min(rooms[form] for form in self.forms)

    @model_validator(mode="after")
    def _fits(self) -> Suite:
        width, height = size_px = self.source.given.size_px
        key = f"source: {'drawn' if self.source.drawn else 'pictures'}: size_px"
        need_once("forms", self.forms)
        need_even(size_px, key=key)
        if min(width, height) < 64:
            raise ValueError(f"{key}: {width} x {height} is too small; a side needs 64 pixels")
        if self.source.pictures and self.room_px < 2 * LEAST_SHOWN_PX:
            raise ValueError(
                f"{key}: {width} x {height} leaves a picture {self.room_px} pixels a side; give a larger size, for "
                f"{2 * LEAST_SHOWN_PX}"
            )
        if self.prompt.style == "cloze":
            raise ValueError("prompt.style: cloze shows no options, and a turn has no other name; give letters")
        return self


def probes(suite: Suite, *, folder: Path) -> list[Probe]:
    """All questions about every item; what distinguishes a question stands in its id as `name=value` parts.

    Pictures are looked at: one that a form cannot ask about is refused, all of them in one error.
    """
    given = suite.source.given
    rng = np.random.default_rng(given.seed)
    order: list[tuple[Form, Item]]
    if isinstance(given, DrawnFigures):
        figures = drawn_items(given.items, size_px=given.size_px, rng=rng)
        order = [(form, item) for form in suite.forms for item in figures]
    else:
        things = read_pictures(given, folder=folder, side_px=suite.room_px)
        own = own_items(things, size_px=given.size_px, rng=rng)
        _askable(things, own, suite)
        order = [(form, item) for item in own for form in suite.forms]  # a limit takes whole pictures
    found = [probe for form, item in order for probe in _ASKED[form](item, suite.figure)]
    refuse(twice(found), suite=suite.name)
    return found


def _askable(things: Sequence[Thing], made: Sequence[Item], suite: Suite) -> None:
    """BadSuite with every picture that cannot be told from its twins, or whose words answer."""
    problems = []
    for thing, item in zip(things, made, strict=True):
        path, sha256 = thing.file
        side_px, ground_rgb = twin_px(item.ground.size_wh_px), item.ground.backdrop_rgb
        fault = symmetry(path, sha256, side_px=side_px, ground_rgb=ground_rgb, forms=suite.forms)
        problems += [f"{thing.name}: {fault}"] if fault else []
        side = holds(thing.caption, SIDES) if "perspective" in suite.forms else None
        if side:
            problems.append(
                f"{thing.name}: the caption {thing.caption!r} holds the answer {side!r}; word it without, or leave "
                "perspective out of forms"
            )
    if len(things) < 2:
        problems.append(f"found {len(things)} picture; give at least 2")
    refuse(problems, suite=suite.name)


def _turns(item: Item, figure: str) -> Iterator[Probe]:
    for turn in QUARTERS:
        for exchanged in (False, True):
            told = {"form": "turn", "quarters": str(turn), "exchanged": _yes(exchanged)}
            scene = item.pair(turn, mirrored=False, exchanged=exchanged)
            yield _ask(item, told, TURN.format(figure=figure), TURNS, -turn % 4 if exchanged else turn, scene)


def _mirrors(item: Item, figure: str) -> Iterator[Probe]:
    words, options = MIRROR.format(figure=figure), tuple(option.format(figure=figure) for option in MIRRORS)
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
                yield _ask(item, told, words, options, int(mirrored), scene)


def _perspectives(item: Item, figure: str) -> Iterator[Probe]:
    words = (PERSPECTIVE + WHERE[figure]).format(colour=item.colour, thing=item.words)
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
        evidence=image(f"{name}/image", scene),
        backgrounds=(),
        cluster_id=item.cluster_id,
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
