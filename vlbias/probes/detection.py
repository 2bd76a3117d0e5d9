"""The detection probe: find the same thing in every cell of an image and say its box, or a point on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from vlbias.errors import BadInput
from vlbias.probes._cells import CellSuite, Grid, hung_px, image, in_cell, moved, need_cells, need_room, still
from vlbias.probes._choices import OneSource, Pixels, PromptChoice, Seed, Strict
from vlbias.probes._order_suites import chosen_slots
from vlbias.probes._pictures import PicturesAmong, others, read_pictures
from vlbias.probes._screens import around, screen_looks, shape_looks, spread
from vlbias.probes._soundness import refuse, twice
from vlbias.records import Picture, Probe, Scene, Sprite, Trial
from vlbias.videos.extents import picture_box, sprite_box

METRICS = ("detection", "precision", "failures")
OWN_ORDERS = True
TASK = "Detection"
PICTURE = "picture"
SMALLEST_CELL_PX = 24
THING = "{thing}"


class DrawnItems(Strict):
    """How many things to find, from which seed, among how many others, in images of which size.

    `look` is shapes (a coloured shape among others that share neither its shape nor its colour) or screen (a button
    or an icon among others).
    """

    items: Annotated[int, Field(ge=2, le=100_000)]
    seed: Seed = 0
    size_px: tuple[Pixels, Pixels] = (336, 336)
    look: Literal["shapes", "screen"] = "shapes"
    distractors: Annotated[int, Field(ge=0, le=16)] = 3


class Source(OneSource[DrawnItems | PicturesAmong]):
    """Where the things come from: exactly one of drawing and the user's pictures."""

    drawn: DrawnItems | None = None
    pictures: PicturesAmong | None = None


class Suite(CellSuite):
    """What stands in the YAML of a suite of this kind. The slots of a trial are the cells in raster order.

    `answer` is what is asked for: a box or a point. `wording` is the question, with {thing} in the place of what is
    looked for: give it the words that a family was trained on (as `detect {thing}`).
    """

    kind: Literal["detection"]
    answer: Literal["box", "point"] = "box"
    wording: str = "Find {thing} in the image."
    prompt: PromptChoice = PromptChoice(style="cloze")
    source: Source

    @property
    def grid(self) -> Grid:
        """The grid over an image."""
        return Grid(rows=self.rows, columns=self.columns, size_px=self.source.given.size_px)

    def worded(self, thing: str) -> str:
        """The question after a thing, as `the red star`."""
        return self.wording.replace(THING, thing)

    @model_validator(mode="after")
    def _fits(self) -> Suite:
        need_cells(self.grid, smallest_px=SMALLEST_CELL_PX, key="source: size_px")
        need_room(self.source.given.distractors, self.grid)
        if self.wording.count(THING) != 1:
            raise ValueError(f"wording: {self.wording!r} must hold {THING} once")
        if self.prompt.style != "cloze":
            raise ValueError("prompt.style: a place is asked for without options; give cloze")
        return self


def probes(suite: Suite, *, folder: Path) -> list[Probe]:
    """One probe per thing, open-ended: no option is right, a place is."""
    source = suite.source.given
    rng = np.random.default_rng(source.seed)
    made = _drawn(source, suite, rng=rng) if isinstance(source, DrawnItems) else _own(source, suite, folder, rng=rng)
    found = [
        Probe(
            probe_id=name,
            task=f"{TASK}: {kind}",
            question=suite.worded(f"the {'picture of ' if kind == PICTURE else ''}{thing}"),
            options=(),
            gold=None,
            evidence=image(name, scene),
            backgrounds=(),
            cluster_id=cluster_id,
            thing=thing,
        )
        for name, kind, thing, scene, cluster_id in made
    ]
    refuse(twice(found), suite=suite.name)
    return found


def _drawn(drawn: DrawnItems, suite: Suite, *, rng: np.random.Generator) -> Iterator[tuple[str, str, str, Scene, str]]:
    looks = screen_looks() if drawn.look == "screen" else shape_looks()
    for k, look in enumerate(spread(looks, drawn.items, rng=rng)):
        shown = [look, *around(look, looks, n=drawn.distractors, rng=rng)]
        places = [int(c) for c in rng.permutation(suite.segments)[: len(shown)]]
        sprites = tuple(s for one, place in zip(shown, places, strict=True) for s in one.at(suite.grid, place))
        thing = look.words.removeprefix("the ")
        yield f"item-{k:04d}", look.kind, thing, still(sprites, suite.grid, rng=rng), f"item-{k:04d}"


def _own(
    own: PicturesAmong, suite: Suite, folder: Path, *, rng: np.random.Generator
) -> Iterator[tuple[str, str, str, Scene, str]]:
    things = read_pictures(own, folder=folder, side_px=hung_px(suite.grid))
    for thing in things:
        shown = [thing, *others(thing, things, n=own.distractors, rng=rng)]
        places = [int(c) for c in rng.permutation(suite.segments)[: len(shown)]]
        hung: tuple[Sprite | Picture, ...] = tuple(
            one.at(suite.grid, place) for one, place in zip(shown, places, strict=True)
        )
        yield thing.name, PICTURE, thing.caption, still(hung, suite.grid, rng=rng), thing.cluster_id


def trials(probes: Sequence[Probe], *, suite: Suite, seed: int, slots: Sequence[int] | None = None) -> Iterator[Trial]:
    """Each thing in each cell, changing places with what stands there.

    The factors are `asks` (box or point), `target` (the true box, xyxy in 0..1), `size_px`, `cell` and `grid`.
    """
    del seed  # there is no order to draw
    chosen = chosen_slots(slots, n_slots=suite.segments, suite=suite.name)
    grid = suite.grid
    for probe in probes:
        for slot in chosen:
            shown = moved(probe.evidence.scenes[0], grid, to=slot, home_grid=grid)
            told = {
                "asks": suite.answer,
                "size_px": "x".join(map(str, grid.size_px)),
                "target": ",".join(f"{v:.6f}" for v in target_box(shown)),
            }
            named = image(f"{probe.probe_id}/{suite.cell(slot)}", shown)
            yield in_cell(probe, slot, named, suite=suite, order=(), factors=told)


def target_box(scene: Scene) -> tuple[float, float, float, float]:
    """The box of the thing that is looked for: the first picture, else the first sprite, of a scene."""
    size_wh_px = scene.size_wh_px
    if scene.pictures:
        return picture_box(scene.pictures[0], size_wh_px=size_wh_px)
    if not scene.sprites:
        raise BadInput("a scene without sprites and pictures holds nothing to find")
    return sprite_box(scene.sprites[0], size_wh_px=size_wh_px)
