"""The three-cell probe: is green or blue nearer to red? The same three cells at several places of the image.

After the Three-Cell data of LOOPE (arXiv 2504.14386): three coloured cells of a fine grid on black, and offsets drawn
from the integer pairs of one squared length. Its other labels are not published in full, so we ask for the distance
only and our numbers do not compare with LOOPE's. The three answers are equally frequent: a constant answer gets 1/3.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import numpy as np
from pydantic import Field, model_validator

from vlbias.probes._cells import CellSuite, image, in_cell
from vlbias.probes._choices import Pixels, Seed, Strict
from vlbias.probes._order_suites import chosen_slots
from vlbias.probes._orders import option_orders
from vlbias.probes._soundness import refuse, twice
from vlbias.records import RGB, Probe, Scene, Sprite, Trial

METRICS = ("spatial", "failures")
TASK = "Nearer of Two"
OPTIONS = ("the green one", "the blue one", "both are equally far")
QUESTION = "Which square is nearer to the red one, measured from middle to middle?"
RED: RGB = (230, 30, 30)
GREEN: RGB = (30, 200, 60)
BLUE: RGB = (50, 80, 240)
Offset: TypeAlias = tuple[int, int]


class DrawnTriples(Strict):
    """How many triples, from which seed, with offsets of at most `reach` cells, on `fine` x `fine` cells of pixels."""

    items: Annotated[int, Field(ge=3, le=100_000)]
    seed: Seed = 0
    size_px: tuple[Pixels, Pixels] = (224, 224)
    fine: Annotated[int, Field(ge=5, le=64)] = 14
    reach: Annotated[int, Field(ge=2, le=31)] = 4


class Source(Strict):
    """Where the triples come from."""

    drawn: DrawnTriples


class Suite(CellSuite):
    """What stands in the YAML of a suite of this kind.

    The middle of each triple stands at `rows` x `columns` places, as far apart as the image allows; the slots of a
    trial are these places in raster order.
    """

    kind: Literal["threecell"]
    rows: Annotated[int, Field(ge=1, le=16)] = 3
    columns: Annotated[int, Field(ge=1, le=16)] = 3
    source: Source

    @model_validator(mode="after")
    def _fits(self) -> Suite:
        drawn = self.source.drawn
        free = drawn.fine - 2 * drawn.reach
        if self.segments < 2:
            raise ValueError("rows x columns: found 1 place; give at least 2")
        if free < max(self.rows, self.columns):
            raise ValueError(
                f"source.drawn: {drawn.fine} cells a side less a reach of {drawn.reach} on both leave {max(free, 0)} "
                f"places; {self.rows} x {self.columns} are wanted. Give more cells or a smaller reach"
            )
        if min(drawn.size_px) < 4 * drawn.fine:
            raise ValueError(f"source.drawn.size_px: {drawn.size_px} is too small; a cell needs 4 pixels a side")
        return self


def probes(suite: Suite, *, folder: Path) -> list[Probe]:
    """The triples; of each run of three, one has green nearer, one blue, and one both equally far."""
    del folder  # nothing is read
    drawn = suite.source.drawn
    rng = np.random.default_rng(drawn.seed)
    found = []
    for k in range(drawn.items):
        gold = k % 3
        offsets = _offsets(gold, reach=drawn.reach, rng=rng)
        scene = Scene(
            sprites=tuple(_square(at, colour, drawn) for at, colour in zip(((0, 0), *offsets), (RED, GREEN, BLUE))),
            backdrop_rgb=(0, 0, 0),
            texture="plain",
            duration_s=1.0,
            fps=1.0,
            size_wh_px=drawn.size_px,
            seed=int(rng.integers(2**31)),
        )
        name = f"triple-{k:04d}"
        found.append(
            Probe(
                probe_id=name,
                task=TASK,
                question=QUESTION,
                options=OPTIONS,
                gold=gold,
                evidence=image(name, scene),
                backgrounds=(),
                cluster_id=name,
            )
        )
    refuse(twice(found), suite=suite.name)
    return found


def trials(probes: Sequence[Probe], *, suite: Suite, seed: int, slots: Sequence[int] | None = None) -> Iterator[Trial]:
    """Each triple at each place, moved as a whole; the factors are `cell` (row,column) and `grid`."""
    chosen = chosen_slots(slots, n_slots=suite.segments, suite=suite.name)
    for probe, order in zip(probes, option_orders(probes, rule="balanced", seed=seed), strict=True):
        scene = probe.evidence.scenes[0]
        for slot in chosen:
            row, column = divmod(slot, suite.columns)
            away = _anchor(row, suite.rows, suite), _anchor(column, suite.columns, suite)
            named = image(f"{probe.probe_id}/{suite.cell(slot)}", _moved(scene, *away, suite.source.drawn))
            yield in_cell(probe, slot, named, suite=suite, order=order, factors={})


def _offsets(gold: int, *, reach: int, rng: np.random.Generator) -> tuple[Offset, Offset]:
    """Where green and blue stand from red, in cells: not in one line with it, and as far as the answer says."""
    every = [(x, y) for x in range(-reach, reach + 1) for y in range(-reach, reach + 1) if (x, y) != (0, 0)]
    by_length = {n: list(same) for n, same in groupby(sorted(every, key=_squared), key=_squared)}
    lengths = [n for n, same in by_length.items() if len(same) > 4]  # more than one pair of integers, up to signs
    while True:
        one = lengths[int(rng.integers(len(lengths)))]
        other = one if gold == 2 else lengths[int(rng.integers(len(lengths)))]
        if gold != 2 and one == other:
            continue
        near, far = sorted((one, other))
        green_n, blue_n = (far, near) if gold == 1 else (near, far)
        green = by_length[green_n][int(rng.integers(len(by_length[green_n])))]
        blue = by_length[blue_n][int(rng.integers(len(by_length[blue_n])))]
        if green[0] * blue[1] != green[1] * blue[0]:
            return green, blue


def _squared(offset: Offset) -> int:
    return offset[0] ** 2 + offset[1] ** 2


def _square(at: Offset, colour: RGB, drawn: DrawnTriples) -> Sprite:
    """A square of one fine cell; its place is from the cell in the upper left corner."""
    xy = (at[0] + 0.5) / drawn.fine, (at[1] + 0.5) / drawn.fine
    return Sprite(form="square", colour_rgb=colour, centre_xy=xy, radius=0.5 / drawn.fine)


def _anchor(index: int, count: int, suite: Suite) -> int:
    """The fine cell of the middle of a triple, from the first to the last that leave room for its reach."""
    reach, last = suite.source.drawn.reach, suite.source.drawn.fine - 1 - suite.source.drawn.reach
    return (reach + last) // 2 if count == 1 else reach + round(index * (last - reach) / (count - 1))


def _moved(scene: Scene, row: int, column: int, drawn: DrawnTriples) -> Scene:
    x, y = column / drawn.fine, row / drawn.fine
    return replace(
        scene,
        sprites=tuple(replace(s, centre_xy=(s.centre_xy[0] + x, s.centre_xy[1] + y)) for s in scene.sprites),
    )
