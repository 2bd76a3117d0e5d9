"""The grid probe: the same thing in every cell of an image, and its absence; every comparison is within an item."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from vlbias.probes._cells import Grid, moved, pairs_of_looks, sprite, still
from vlbias.probes._choices import FramesChoice, Pixels, PromptChoice, Strict
from vlbias.probes._order_suites import chosen_slots
from vlbias.probes._orders import option_orders
from vlbias.probes._soundness import refuse, twice
from vlbias.probes._world import COLOURS, SHAPES
from vlbias.records import Probe, Segment, Trial

METRICS = ("spatial", "failures")
TASK = "Presence"
SMALLEST_CELL_PX = 8
Side = Annotated[int, Field(ge=1, le=32)]


class DrawnItems(Strict):
    """How many things to look for, from which seed, among how many distractors, in images of which size.

    An item is a coloured shape. Distractors share neither its shape nor its colour, but the foil shares its shape.
    """

    items: Annotated[int, Field(ge=4, le=100_000)]
    seed: Annotated[int, Field(ge=0)] = 0
    size_px: tuple[Pixels, Pixels] = (336, 336)
    distractors: Annotated[int, Field(ge=0, le=1023)] = 3


class Source(Strict):
    """Where the items come from."""

    drawn: DrawnItems


class Suite(Strict):
    """What stands in the YAML of a suite of this kind.

    `shifts_px` moves the grid right and down, so that cells do not lie on the patches of an encoder; every item is
    asked at every shift. The slots of a trial are the cells in raster order.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$")]
    kind: Literal["grid"]
    version: int | str
    description: str
    licence: str
    rows: Side = 3
    columns: Side = 3
    shifts_px: Annotated[tuple[tuple[int, int], ...], Field(min_length=1)] = ((0, 0),)
    prompt: PromptChoice = PromptChoice()
    frames: FramesChoice = FramesChoice(num_frames=1, sampling="midpoints")
    source: Source

    @property
    def segments(self) -> int:
        """The slots are the cells."""
        return self.rows * self.columns

    def grid(self, shift_px: tuple[int, int] = (0, 0)) -> Grid:
        """The grid over an image, at a shift."""
        return Grid(rows=self.rows, columns=self.columns, size_px=self.source.drawn.size_px, shift_px=shift_px)

    @model_validator(mode="after")
    def _fits(self) -> Suite:
        (width, height), cells = self.source.drawn.size_px, self.segments
        if cells < 2:
            raise ValueError(f"rows x columns: found {cells} cell; give at least 2")
        cell_px = min(width // self.columns, height // self.rows)
        if cell_px < SMALLEST_CELL_PX:
            raise ValueError(
                f"source.drawn.size_px: {width} x {height} pixels are too few for {self.rows} x {self.columns} cells; "
                f"a cell needs {SMALLEST_CELL_PX} pixels a side, found {cell_px}"
            )
        if self.source.drawn.distractors > cells - 1:
            raise ValueError(
                f"source.drawn.distractors: found {self.source.drawn.distractors}; give at most {cells - 1}"
            )
        if len(set(self.shifts_px)) != len(self.shifts_px):
            raise ValueError("shifts_px: a shift stands twice")
        far = [shift for shift in self.shifts_px if 8 * max(map(abs, shift)) > cell_px]
        if far:
            raise ValueError(
                f"shifts_px: {far[0]} cuts off what stands at the border; give at most {cell_px // 8} pixels"
            )
        return self


def probes(suite: Suite, *, folder: Path) -> list[Probe]:
    """Two probes per item, a cluster: the thing is there (yes), and a foil of its shape stands in its place (no)."""
    del folder  # nothing is read
    drawn = suite.source.drawn
    grid, rng = suite.grid(), np.random.default_rng(drawn.seed)
    found = []
    for k, (shape, colour) in enumerate(pairs_of_looks(drawn.items, rng=rng)):
        foil = str(rng.choice([c for c in COLOURS if c != colour]))
        shapes = [s for s in SHAPES if s != shape]
        colours = [c for c in COLOURS if c not in (colour, foil)]
        looks = [(str(rng.choice(shapes)), str(rng.choice(colours))) for _ in range(drawn.distractors)]
        places = tuple(int(c) for c in rng.permutation(grid.n_cells)[: 1 + len(looks)])
        around = tuple(sprite(*look, grid, place) for look, place in zip(looks, places[1:], strict=True))
        scene = still((sprite(shape, colour, grid, places[0]), *around), grid, rng=rng)
        gone = replace(scene, sprites=(sprite(shape, foil, grid, places[0]), *around))
        for there, shown in (("yes", scene), ("no", gone)):
            found.append(
                Probe(
                    probe_id=f"item-{k:04d}-{there}",
                    task=TASK,
                    question=f"Is there a {colour} {shape} in the image?",
                    options=("yes", "no"),
                    gold=0 if there == "yes" else 1,
                    evidence=Segment(segment_id=f"item-{k:04d}-{there}", kind="image", scenes=(shown,)),
                    backgrounds=(),
                    cluster_id=f"item-{k:04d}",
                )
            )
    refuse(twice(found), suite=suite.name)
    return found


def trials(probes: Sequence[Probe], *, suite: Suite, seed: int, slots: Sequence[int] | None = None) -> Iterator[Trial]:
    """Each item in each cell at each shift; the factors are `cell` (row,column), `grid`, `present` and `shift`.

    The thing changes places with what stands in the cell, and all else stays: the images of two cells differ by that.
    """
    chosen = chosen_slots(slots, n_slots=suite.segments, suite=suite.name)
    # An item's two probes follow one another, so that both have yes at the same place and half of the items first.
    for probe, order in zip(probes, option_orders(probes, rule="balanced", seed=seed), strict=True):
        scene, home_grid = probe.evidence.scenes[0], suite.grid()
        places = tuple(_place(one.centre_xy, home_grid) for one in scene.sprites)
        for shift in suite.shifts_px:
            grid = suite.grid(shift)
            for slot in chosen:
                row, column = grid.cell(slot)
                name = f"{probe.probe_id}/{shift[0]},{shift[1]}/{row},{column}"
                shown = moved(scene, grid, home=places[0], to=slot, places=places)
                yield Trial(
                    trial_id=name,
                    probe=probe,
                    slot=slot,
                    n_slots=suite.segments,
                    segments=(Segment(segment_id=name, kind="image", scenes=(shown,)),),
                    option_order=order,
                    factors=(
                        ("cell", f"{row},{column}"),
                        ("grid", grid.name),
                        ("present", probe.options[probe.gold or 0]),
                        ("shift", f"{shift[0]},{shift[1]}"),
                    ),
                )


def _place(centre_xy: tuple[float, float], grid: Grid) -> int:
    """The cell of a point."""
    return int(centre_xy[1] * grid.rows) * grid.columns + int(centre_xy[0] * grid.columns)
