"""The detection probe: find the same thing in every cell of an image and say its box, or a point on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from vlbias.errors import BadInput
from vlbias.probes._cells import Grid, moved, still
from vlbias.probes._choices import FramesChoice, Pixels, PromptChoice, Strict
from vlbias.probes._order_suites import chosen_slots
from vlbias.probes._pictures import Pictures, others, read_pictures
from vlbias.probes._screens import around, screen_looks, shape_looks, spread
from vlbias.probes._soundness import refuse, twice
from vlbias.records import Picture, Probe, Scene, Segment, Sprite, Trial
from vlbias.videos.extents import picture_box, sprite_box

METRICS = ("detection", "failures")
OWN_ORDERS = True
TASK = "Detection"
SMALLEST_CELL_PX = 24
THING = "{thing}"
Side = Annotated[int, Field(ge=1, le=32)]


class DrawnItems(Strict):
    """How many things to find, from which seed, among how many others, in images of which size.

    `look` is shapes (a coloured shape among others that share neither its shape nor its colour) or screen (a button
    or an icon among others).
    """

    items: Annotated[int, Field(ge=2, le=100_000)]
    seed: Annotated[int, Field(ge=0)] = 0
    size_px: tuple[Pixels, Pixels] = (336, 336)
    look: Literal["shapes", "screen"] = "shapes"
    distractors: Annotated[int, Field(ge=0, le=16)] = 3


class OwnItems(Pictures):
    """Pictures of the user: each is looked for among `distractors` others, in images of `size_px`."""

    seed: Annotated[int, Field(ge=0)] = 0
    size_px: tuple[Pixels, Pixels] = (672, 672)
    distractors: Annotated[int, Field(ge=0, le=1023)] = 3


class Source(Strict):
    """Where the things come from: exactly one of drawing and the user's pictures."""

    drawn: DrawnItems | None = None
    pictures: OwnItems | None = None

    @property
    def given(self) -> DrawnItems | OwnItems:
        """The one that is given."""
        found = self.drawn or self.pictures
        assert found is not None  # checked below
        return found

    @model_validator(mode="after")
    def _one(self) -> Source:
        if (self.drawn is None) == (self.pictures is None):
            raise ValueError("give exactly one of drawn, pictures")
        return self


class Suite(Strict):
    """What stands in the YAML of a suite of this kind. The slots of a trial are the cells in raster order.

    `answer` is what is asked for: a box or a point. `wording` is the question, with {thing} in the place of what is
    looked for: give it the words that a family was trained on (as `detect {thing}`).
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$")]
    kind: Literal["detection"]
    version: int | str
    description: str
    licence: str
    rows: Side = 3
    columns: Side = 3
    answer: Literal["box", "point"] = "box"
    wording: str = "Find {thing} in the image."
    prompt: PromptChoice = PromptChoice(style="cloze")
    frames: FramesChoice = FramesChoice(num_frames=1, sampling="midpoints")
    source: Source

    @property
    def segments(self) -> int:
        """The slots are the cells."""
        return self.rows * self.columns

    @property
    def grid(self) -> Grid:
        """The grid over an image."""
        return Grid(rows=self.rows, columns=self.columns, size_px=self.source.given.size_px)

    def worded(self, thing: str) -> str:
        """The question after a thing, as `the red star`."""
        return self.wording.replace(THING, thing)

    @model_validator(mode="after")
    def _fits(self) -> Suite:
        given, cells = self.source.given, self.segments
        cell_px = min(given.size_px[0] // self.columns, given.size_px[1] // self.rows)
        if cells < 2:
            raise ValueError("rows x columns: found 1 cell; give at least 2")
        if cell_px < SMALLEST_CELL_PX:
            raise ValueError(
                f"source: size_px: {given.size_px[0]} x {given.size_px[1]} pixels are too few for {self.rows} x "
                f"{self.columns} cells; a cell needs {SMALLEST_CELL_PX} pixels a side, found {cell_px}"
            )
        if given.distractors > cells - 1:
            raise ValueError(f"source: distractors: found {given.distractors}; give at most {cells - 1}")
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
            question=suite.worded(words),
            options=(),
            gold=None,
            evidence=Segment(segment_id=name, kind="image", scenes=(scene,)),
            backgrounds=(),
            cluster_id=cluster_id,
        )
        for name, kind, words, scene, cluster_id in made
    ]
    refuse(twice(found), suite=suite.name)
    return found


def _drawn(drawn: DrawnItems, suite: Suite, *, rng: np.random.Generator) -> Iterator[tuple[str, str, str, Scene, str]]:
    looks = screen_looks() if drawn.look == "screen" else shape_looks()
    for k, look in enumerate(spread(looks, drawn.items, rng=rng)):
        shown = [look, *around(look, looks, n=drawn.distractors, rng=rng)]
        places = [int(c) for c in rng.permutation(suite.segments)[: len(shown)]]
        sprites = tuple(s for one, place in zip(shown, places, strict=True) for s in one.at(suite.grid, place))
        yield f"item-{k:04d}", look.kind, look.words, still(sprites, suite.grid, rng=rng), f"item-{k:04d}"


def _own(
    own: OwnItems, suite: Suite, folder: Path, *, rng: np.random.Generator
) -> Iterator[tuple[str, str, str, Scene, str]]:
    things = read_pictures(own, folder=folder)
    for thing in things:
        shown = [thing, *others(thing, things, n=own.distractors, rng=rng)]
        places = [int(c) for c in rng.permutation(suite.segments)[: len(shown)]]
        hung: tuple[Sprite | Picture, ...] = tuple(
            one.at(suite.grid, place) for one, place in zip(shown, places, strict=True)
        )
        words = f"the picture of {thing.caption}"
        yield thing.name, "picture", words, still(hung, suite.grid, rng=rng), thing.cluster_id


def trials(probes: Sequence[Probe], *, suite: Suite, seed: int, slots: Sequence[int] | None = None) -> Iterator[Trial]:
    """Each thing in each cell, changing places with what stands there.

    The factors are `asks` (box or point), `target` (the true box, xyxy in 0..1), `size_px`, `cell` and `grid`.
    """
    del seed  # there is no order to draw
    chosen = chosen_slots(slots, n_slots=suite.segments, suite=suite.name)
    grid = suite.grid
    for probe in probes:
        for slot in chosen:
            row, column = grid.cell(slot)
            name = f"{probe.probe_id}/{row},{column}"
            shown = moved(probe.evidence.scenes[0], grid, to=slot, home_grid=grid)
            yield Trial(
                trial_id=name,
                probe=probe,
                slot=slot,
                n_slots=suite.segments,
                segments=(Segment(segment_id=name, kind="image", scenes=(shown,)),),
                option_order=(),
                factors=(
                    ("asks", suite.answer),
                    ("cell", f"{row},{column}"),
                    ("grid", grid.name),
                    ("size_px", "x".join(map(str, grid.size_px))),
                    ("target", ",".join(f"{v:.6f}" for v in target_box(shown))),
                ),
            )


def target_box(scene: Scene) -> tuple[float, float, float, float]:
    """The box of the thing that is looked for: the first picture, else the first sprite, of a scene."""
    size_wh_px = scene.size_wh_px
    if scene.pictures:
        return picture_box(scene.pictures[0], size_wh_px=size_wh_px)
    if not scene.sprites:
        raise BadInput("a scene without sprites and pictures holds nothing to find")
    return sprite_box(scene.sprites[0], size_wh_px=size_wh_px)
