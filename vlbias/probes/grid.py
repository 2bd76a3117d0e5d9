"""The grid probe: the same thing in every cell of an image, and its absence; every comparison is within an item."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import numpy as np
from pydantic import Field, model_validator

from vlbias.probes._cells import (
    CellSuite,
    Grid,
    hung_px,
    image,
    in_cell,
    moved,
    need_cells,
    need_room,
    pairs_of_looks,
    sprite,
    still,
)
from vlbias.probes._choices import OneSource, Pixels, Seed, Strict, need_once
from vlbias.probes._order_suites import chosen_slots
from vlbias.probes._orders import option_orders
from vlbias.probes._pictures import PicturesAmong, Thing, others, read_pictures
from vlbias.probes._soundness import refuse, twice
from vlbias.probes._world import COLOURS, SHAPES
from vlbias.records import Picture, Probe, Scene, Trial

METRICS = ("spatial", "failures")
TASK = "Presence"
CHOICE = "Which of these is in the image?"
SMALLEST_CELL_PX = 8


class DrawnItems(Strict):
    """How many things to look for, from which seed, among how many distractors, in images of which size.

    An item is a coloured shape. Distractors share neither its shape nor its colour, but the foil shares its shape.
    """

    items: Annotated[int, Field(ge=4, le=100_000)]
    seed: Seed = 0
    size_px: tuple[Pixels, Pixels] = (336, 336)
    distractors: Annotated[int, Field(ge=0, le=1023)] = 3


class Source(OneSource[DrawnItems | PicturesAmong]):
    """Where the items come from: exactly one of drawing and the user's pictures."""

    drawn: DrawnItems | None = None
    pictures: PicturesAmong | None = None


class Suite(CellSuite):
    """What stands in the YAML of a suite of this kind.

    `shifts_px` moves the grid right and down, so that cells do not lie on the patches of an encoder; every item is
    asked at every shift. The slots of a trial are the cells in raster order. `asks`: whether the thing is there, or
    which of the thing and its foil is, on the same images; a model that only compares captions can answer the second.
    """

    kind: Literal["grid"]
    shifts_px: Annotated[tuple[tuple[int, int], ...], Field(min_length=1)] = ((0, 0),)
    asks: Literal["presence", "choice"] = "presence"
    source: Source

    def grid(self, shift_px: tuple[int, int] = (0, 0)) -> Grid:
        """The grid over an image, at a shift."""
        return Grid(rows=self.rows, columns=self.columns, size_px=self.source.given.size_px, shift_px=shift_px)

    @model_validator(mode="after")
    def _fits(self) -> Suite:
        given = self.source.given
        need_cells(self.grid(), smallest_px=SMALLEST_CELL_PX, key="source: size_px")
        need_room(given.distractors, self.grid())
        need_once("shifts_px", self.shifts_px)
        most_px = self.grid().cell_px // 8
        far = [shift for shift in self.shifts_px if max(map(abs, shift)) > most_px]
        if far:
            raise ValueError(f"shifts_px: {far[0]} cuts off what stands at the border; give at most {most_px} pixels")
        return self


def probes(suite: Suite, *, folder: Path) -> list[Probe]:
    """Two probes per item, a cluster: the thing is there (yes), and a foil of its shape stands in its place (no).

    In place of a picture of the user stands another one.
    """
    source = suite.source.given
    rng = np.random.default_rng(source.seed)
    if isinstance(source, DrawnItems):
        found = _drawn(source, suite, rng=rng)
    else:
        things = read_pictures(source, folder=folder, side_px=hung_px(suite.grid()))
        found = _own(things, source, suite, rng=rng)
    refuse(twice(found), suite=suite.name)
    return found


def _drawn(drawn: DrawnItems, suite: Suite, *, rng: np.random.Generator) -> list[Probe]:
    found, grid = [], suite.grid()
    for k, (shape, colour) in enumerate(pairs_of_looks(drawn.items, rng=rng)):
        foil = str(rng.choice([c for c in COLOURS if c != colour]))
        shapes = [s for s in SHAPES if s != shape]
        colours = [c for c in COLOURS if c not in (colour, foil)]
        looks = [(str(rng.choice(shapes)), str(rng.choice(colours))) for _ in range(drawn.distractors)]
        places = tuple(int(c) for c in rng.permutation(grid.n_cells)[: 1 + len(looks)])
        around = tuple(sprite(*look, grid, place) for look, place in zip(looks, places[1:], strict=True))
        scene = still((sprite(shape, colour, grid, places[0]), *around), grid, rng=rng)
        gone = replace(scene, sprites=(sprite(shape, foil, grid, places[0]), *around))
        words = _words(suite, f"a {colour} {shape}", f"a {foil} {shape}", of="Is there {thing} in the image?")
        found += _pair(f"item-{k:04d}", words, scene, gone, cluster_id=f"item-{k:04d}")
    return found


def _own(things: Sequence[Thing], source: PicturesAmong, suite: Suite, *, rng: np.random.Generator) -> list[Probe]:
    found, grid = [], suite.grid()
    for thing in things:
        foil, *around = others(thing, things, n=1 + source.distractors, rng=rng)
        places = [int(c) for c in rng.permutation(grid.n_cells)[: 1 + len(around)]]
        beside = tuple(one.at(grid, place) for one, place in zip(around, places[1:], strict=True))
        scene = still((thing.at(grid, places[0]), *beside), grid, rng=rng)
        instead = foil.at(grid, places[0])
        assert isinstance(instead, Picture)  # the user's things are pictures
        gone = replace(scene, pictures=(instead, *scene.pictures[1:]))
        asked = "Is there a picture of this in the image: {thing}?"
        words = _words(suite, thing.caption, foil.caption, of=asked)
        found += _pair(thing.name, words, scene, gone, cluster_id=thing.cluster_id)
    return found


Words: TypeAlias = tuple[str, tuple[str, str], tuple[str, str]]


def _words(suite: Suite, thing: str, foil: str, *, of: str) -> Words:
    """The question, its two answers, of which the first says that the thing is there, and what it is about then."""
    if suite.asks == "presence":
        return of.format(thing=thing), ("yes", "no"), (thing, thing)
    return CHOICE, (thing, foil), (thing, foil)


def _pair(name: str, words: Words, scene: Scene, gone: Scene, *, cluster_id: str) -> list[Probe]:
    """The item there and not there."""
    return [
        Probe(
            probe_id=f"{name}-{there}",
            task=TASK,
            question=words[0],
            options=words[1],
            thing=words[2][gold],
            gold=gold,
            evidence=image(f"{name}-{there}", shown),
            backgrounds=(),
            cluster_id=cluster_id,
        )
        for gold, (there, shown) in enumerate((("yes", scene), ("no", gone)))
    ]


def trials(probes: Sequence[Probe], *, suite: Suite, seed: int, slots: Sequence[int] | None = None) -> Iterator[Trial]:
    """Each item in each cell at each shift; the factors are `cell` (row,column), `grid`, `present` and `shift`.

    The thing changes places with what stands in the cell, and all else stays: the images of two cells differ by that.
    """
    chosen = chosen_slots(slots, n_slots=suite.segments, suite=suite.name)
    # An item's two probes follow one another, so that both have yes at the same place and half of the items first.
    for probe, order in zip(probes, option_orders(probes, rule="balanced", seed=seed), strict=True):
        scene = probe.evidence.scenes[0]
        for shift in suite.shifts_px:
            grid = suite.grid(shift)
            for slot in chosen:
                shown = moved(scene, grid, to=slot, home_grid=suite.grid())
                told = {"present": "no" if probe.gold else "yes", "shift": f"{shift[0]},{shift[1]}"}
                named = image(f"{probe.probe_id}/{told['shift']}/{suite.cell(slot)}", shown)
                yield in_cell(probe, slot, named, suite=suite, order=order, factors=told)
