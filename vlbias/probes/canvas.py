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

from vlbias.probes._cells import CellSuite, Grid, Side, hung_px, image, in_cell, moved, need_cells, still
from vlbias.probes._choices import OneSource, Pixels, PromptChoice, need_once
from vlbias.probes._order_suites import chosen_slots
from vlbias.probes._orders import option_orders
from vlbias.probes._pictures import DrawnThings, Pictures, Thing, drawn_things, others, read_pictures
from vlbias.probes._soundness import refuse, twice
from vlbias.records import Probe, Scene, Trial

METRICS = ("canvas", "spatial", "failures")
TASK = "Labelling"
QUESTION = "What does the image show?"
SMALLEST_CELL_PX = 16
Background = Literal["black", "grey", "noise"]
GREY = {"black": (0, 0, 0), "grey": (128, 128, 128), "noise": (96, 96, 96)}
TEXTURE = {"black": "plain", "grey": "plain", "noise": "speckle"}


class DrawnLabels(DrawnThings):
    """How many coloured shapes to draw, from which seed; every one has wrong labels of the others."""

    items: Annotated[int, Field(ge=4, le=200)]


class Source(OneSource[DrawnLabels | Pictures]):
    """Where the pictures come from: exactly one of drawing and the user's own."""

    drawn: DrawnLabels | None = None
    pictures: Pictures | None = None


class Suite(CellSuite):
    """What stands in the YAML of a suite of this kind.

    `labels` counts the labels offered, the right one among them. The slots of a trial are the cells in raster order.
    """

    kind: Literal["canvas"]
    rows: Side = 5
    columns: Side = 5
    size_px: tuple[Pixels, Pixels] = (560, 560)
    backgrounds: Annotated[tuple[Background, ...], Field(min_length=1)] = ("black", "grey", "noise")
    labels: Annotated[int, Field(ge=2, le=26)] = 4
    question: str = QUESTION
    # The label itself is scored, not a letter: the loss of a letter says less.
    prompt: PromptChoice = PromptChoice(style="cloze")
    source: Source

    @property
    def grid(self) -> Grid:
        """The cells of the canvas."""
        return Grid(rows=self.rows, columns=self.columns, size_px=self.size_px)

    @model_validator(mode="after")
    def _fits(self) -> Suite:
        need_cells(self.grid, smallest_px=SMALLEST_CELL_PX, key="size_px")
        need_once("backgrounds", self.backgrounds)
        if self.prompt.style != "cloze":
            raise ValueError("prompt.style: the canvas probe scores the label itself; give cloze")
        return self


def probes(suite: Suite, *, folder: Path) -> list[Probe]:
    """One probe per picture; its options are its caption and captions of others."""
    given = suite.source.given
    rng = np.random.default_rng(given.seed)
    if isinstance(given, Pictures):
        things = read_pictures(given, folder=folder, side_px=hung_px(suite.grid))
    else:
        things = drawn_things(given.items, rng=rng)
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
                shown = moved(canvas, suite.grid, to=slot, home_grid=suite.grid)
                named = image(f"{probe.probe_id}/{background}/{suite.cell(slot)}", shown)
                yield in_cell(probe, slot, named, suite=suite, order=order, factors={"background": background})


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
        evidence=image(thing.name, scene),
        backgrounds=(),
        cluster_id=thing.cluster_id,
        thing=thing.caption,
    )
