"""The canvas probe: one picture at every place of a large empty canvas; how probable is its label there?

After the vision test of PINE (arXiv 2407.01100, figure 1): a picture on a black canvas, and the loss of the true label
by place. One canvas confounds the place with the canvas, so the background is a factor.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from vlbias.probes._cells import Grid, moved, still
from vlbias.probes._choices import FramesChoice, Pixels, PromptChoice, Strict
from vlbias.probes._order_suites import chosen_slots
from vlbias.probes._orders import option_orders
from vlbias.probes._pictures import Pictures, Thing, drawn_things, others, read_pictures
from vlbias.probes._soundness import refuse, twice
from vlbias.records import Probe, Scene, Segment, Trial

METRICS = ("canvas", "spatial", "failures")
TASK = "Labelling"
QUESTION = "What does the image show?"
SMALLEST_CELL_PX = 16
Background = Literal["black", "grey", "noise"]
GREY = {"black": (0, 0, 0), "grey": (128, 128, 128), "noise": (96, 96, 96)}
TEXTURE = {"black": "plain", "grey": "plain", "noise": "speckle"}


class DrawnThings(Strict):
    """How many coloured shapes to draw, from which seed."""

    items: Annotated[int, Field(ge=4, le=200)]
    seed: Annotated[int, Field(ge=0)] = 0


class OwnPictures(Pictures):
    """Pictures of the user; `seed` draws the wrong labels."""

    seed: Annotated[int, Field(ge=0)] = 0


class Source(Strict):
    """Where the pictures come from: exactly one of drawing and the user's own."""

    drawn: DrawnThings | None = None
    pictures: OwnPictures | None = None

    @model_validator(mode="after")
    def _one(self) -> Source:
        if (self.drawn is None) == (self.pictures is None):
            raise ValueError("give exactly one of drawn, pictures")
        return self


class Suite(Strict):
    """What stands in the YAML of a suite of this kind.

    `labels` counts the labels offered, the right one among them. The slots of a trial are the cells in raster order.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$")]
    kind: Literal["canvas"]
    version: int | str
    description: str
    licence: str
    rows: Annotated[int, Field(ge=1, le=32)] = 5
    columns: Annotated[int, Field(ge=1, le=32)] = 5
    size_px: tuple[Pixels, Pixels] = (560, 560)
    backgrounds: Annotated[tuple[Background, ...], Field(min_length=1)] = ("black", "grey", "noise")
    labels: Annotated[int, Field(ge=2, le=26)] = 4
    question: str = QUESTION
    # The label itself is scored, not a letter: the loss of a letter says less.
    prompt: PromptChoice = PromptChoice(style="cloze")
    frames: FramesChoice = FramesChoice(num_frames=1, sampling="midpoints")
    source: Source

    @property
    def segments(self) -> int:
        """The slots are the cells."""
        return self.rows * self.columns

    @property
    def grid(self) -> Grid:
        """The cells of the canvas."""
        return Grid(rows=self.rows, columns=self.columns, size_px=self.size_px)

    @model_validator(mode="after")
    def _fits(self) -> Suite:
        cell_px = min(self.size_px[0] // self.columns, self.size_px[1] // self.rows)
        if self.segments < 2:
            raise ValueError("rows x columns: found 1 cell; give at least 2")
        if cell_px < SMALLEST_CELL_PX:
            raise ValueError(
                f"size_px: {self.size_px[0]} x {self.size_px[1]} pixels are too few for {self.rows} x {self.columns} "
                f"cells; a cell needs {SMALLEST_CELL_PX} pixels a side, found {cell_px}"
            )
        if len(set(self.backgrounds)) != len(self.backgrounds):
            raise ValueError("backgrounds: one stands twice")
        if self.prompt.style != "cloze":
            raise ValueError("prompt.style: the canvas probe scores the label itself; give cloze")
        return self


def probes(suite: Suite, *, folder: Path) -> list[Probe]:
    """One probe per picture; its options are its caption and captions of others."""
    drawn, own = suite.source.drawn, suite.source.pictures
    if drawn:
        rng = np.random.default_rng(drawn.seed)
        things = drawn_things(drawn.items, rng=rng)
    else:
        assert own is not None  # the source holds exactly one
        rng = np.random.default_rng(own.seed)
        things = read_pictures(own, folder=folder)
    found = [_probe(thing, things, suite, rng=rng) for thing in things]
    refuse(twice(found), suite=suite.name)
    return found


def trials(probes: Sequence[Probe], *, suite: Suite, seed: int, slots: Sequence[int] | None = None) -> Iterator[Trial]:
    """Each picture in each cell on each background; the factors are `cell` (row,column), `grid` and `background`."""
    chosen = chosen_slots(slots, n_slots=suite.segments, suite=suite.name)
    for probe, order in zip(probes, option_orders(probes, rule="balanced", seed=seed), strict=True):
        scene = probe.evidence.scenes[0]
        for background in suite.backgrounds:
            canvas = replace(scene, backdrop_rgb=GREY[background], texture=TEXTURE[background])
            for slot in chosen:
                row, column = suite.grid.cell(slot)
                name = f"{probe.probe_id}/{background}/{row},{column}"
                shown = moved(canvas, suite.grid, to=slot, home_grid=suite.grid)
                yield Trial(
                    trial_id=name,
                    probe=probe,
                    slot=slot,
                    n_slots=suite.segments,
                    segments=(Segment(segment_id=name, kind="image", scenes=(shown,)),),
                    option_order=order,
                    factors=(("background", background), ("cell", f"{row},{column}"), ("grid", suite.grid.name)),
                )


def _probe(thing: Thing, things: Sequence[Thing], suite: Suite, *, rng: np.random.Generator) -> Probe:
    wrong = [other.caption for other in others(thing, things, n=suite.labels - 1, rng=rng)]
    gold = int(rng.integers(suite.labels))
    scene: Scene = still((thing.at(suite.grid, 0),), suite.grid, rng=rng)
    return Probe(
        probe_id=thing.name,
        task=TASK,
        question=suite.question,
        options=(*wrong[:gold], thing.caption, *wrong[gold:]),
        gold=gold,
        evidence=Segment(segment_id=thing.name, kind="image", scenes=(scene,)),
        backgrounds=(),
        cluster_id=thing.cluster_id,
    )
