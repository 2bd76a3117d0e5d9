"""The three-cell probe: is green or blue nearer to red? The same three cells at several places of the image.

After the Three-Cell data of LOOPE (arXiv 2504.14386): three coloured cells of a fine grid on black, and offsets drawn
from the integer pairs of one squared length. Its other labels are not published in full, so we ask for the distance
only and our numbers do not compare with LOOPE's. The three answers are equally frequent: a constant answer gets 1/3.

Pictures of the user take the place of the squares, and their captions that of the colours: which of two pictures is
nearer to a third. Each picture is that third one in three triples with the same two others, of which one is nearer,
then the other, then none: the words are the same, so a liking for a caption gets 1/3 as well.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from vlbias.errors import BadSuite
from vlbias.probes._cells import CellSuite, framed, image, in_cell, need_even
from vlbias.probes._choices import Pixels, Seed, Strict
from vlbias.probes._order_suites import chosen_slots
from vlbias.probes._orders import option_orders
from vlbias.probes._pictures import LaterPictures, Pictures, Thing, apart, read_pictures
from vlbias.probes._soundness import refuse, twice
from vlbias.probes._triples import HERE, Offset, moved, offsets, on_black
from vlbias.records import RGB, Picture, Probe, Scene, Sprite, Trial

METRICS = ("spatial", "failures")
TASK = "Nearer of Two"
EQUAL = "both are equally far"
OPTIONS = ("the green one", "the blue one", EQUAL)
QUESTION = "Which square is nearer to the red one, measured from middle to middle?"
OF_PICTURES = "Which picture is nearer to the picture of this, measured from middle to middle: {caption}?"
NEARER = ("first", "second", "none")
SMALLEST_PICTURE_PX = 32
RED: RGB = (230, 30, 30)
GREEN: RGB = (30, 200, 60)
BLUE: RGB = (50, 80, 240)
Fine = Annotated[int, Field(ge=5, le=64)]
Reach = Annotated[int, Field(ge=3, le=31)]  # with 2 there is one length only of two pairs of integers


class DrawnTriples(Strict):
    """How many triples, from which seed, with offsets of at most `reach` cells, on `fine` x `fine` cells of pixels."""

    items: Annotated[int, Field(ge=3, le=100_000)]
    seed: Seed = 0
    size_px: tuple[Pixels, Pixels] = (224, 224)
    fine: Fine = 14
    reach: Reach = 4


class PictureTriples(Pictures):
    """Pictures of the user on `fine` x `fine` cells of pixels; `rounds` is how many threes of triples each one gets."""

    rounds: Annotated[int, Field(ge=1, le=1000)] = 1
    size_px: tuple[Pixels, Pixels] = (840, 840)
    fine: Fine = 12
    reach: Reach = 3

    @property
    def cell_px(self) -> int:
        """The side of a cell."""
        return self.size_px[0] // self.fine

    @property
    def picture_px(self) -> int:
        """The side of the square in which a picture stands, an even number: a cell less a margin."""
        return 2 * ((self.cell_px - 2 * max(1, self.cell_px // 20)) // 2)

    @property
    def margin_px(self) -> int:
        """What a cell leaves free to the left and above."""
        return (self.cell_px - self.picture_px) // 2


class Source(LaterPictures[DrawnTriples | PictureTriples]):
    """Where the triples come from: exactly one of drawing and the user's pictures."""

    drawn: DrawnTriples | None = None
    pictures: PictureTriples | None = None


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
        given = self.source.given
        key = f"source: {'drawn' if self.source.drawn else 'pictures'}"
        free = given.fine - 2 * given.reach
        if self.segments < 2:
            raise ValueError("rows x columns: found 1 place; give at least 2")
        if free < max(self.rows, self.columns):
            raise ValueError(
                f"{key}: {given.fine} cells a side less a reach of {given.reach} on both leave {max(free, 0)} "
                f"places; {self.rows} x {self.columns} are wanted. Give more cells or a smaller reach"
            )
        _need_cells(given, key=f"{key}: size_px")
        return self


def _need_cells(given: DrawnTriples | PictureTriples, *, key: str) -> None:
    """ValueError unless the cells are squares, large enough, and for pictures of whole pixels."""
    width, height = given.size_px
    need_even(given.size_px, key=key)
    if width != height:
        raise ValueError(f"{key}: found {width} x {height}; give a square, in which a cell is as wide as it is high")
    least_px = 4 if isinstance(given, DrawnTriples) else SMALLEST_PICTURE_PX
    if width < least_px * given.fine:
        raise ValueError(f"{key}: {width} is too small for {given.fine} cells; a cell needs {least_px} pixels a side")
    step = math.lcm(2, given.fine)
    if isinstance(given, PictureTriples) and width % given.fine:
        raise ValueError(
            f"{key}: {width} pixels are no whole number for each of {given.fine} cells, so that no two pictures would "
            f"be equally far; give {width // step * step}"
        )


def probes(suite: Suite, *, folder: Path) -> list[Probe]:
    """The triples; of each run of three, one has the first nearer, one the second, and one both equally far."""
    given = suite.source.given
    rng = np.random.default_rng(given.seed)
    if isinstance(given, DrawnTriples):
        found = [_drawn(k, given, rng=rng) for k in range(given.items)]
    else:
        things = read_pictures(given, folder=folder, side_px=given.picture_px)
        turns = [(turn, thing) for turn in range(given.rounds) for thing in things]
        found = [probe for turn, thing in turns for probe in _own(thing, things, given, turn=turn, rng=rng)]
    refuse(twice(found), suite=suite.name)
    return found


def trials(probes: Sequence[Probe], *, suite: Suite, seed: int, slots: Sequence[int] | None = None) -> Iterator[Trial]:
    """Each triple at each place, moved as a whole; the factors are `cell` (row,column) and `grid`."""
    chosen = chosen_slots(slots, n_slots=suite.segments, suite=suite.name)
    for probe, order in zip(probes, option_orders(probes, rule="balanced", seed=seed), strict=True):
        scene = probe.evidence.scenes[0]
        for slot in chosen:
            row, column = divmod(slot, suite.columns)
            shown = moved(
                scene,
                row=_anchor(row, suite.rows, suite),
                column=_anchor(column, suite.columns, suite),
                fine=suite.source.given.fine,
            )
            named = image(f"{probe.probe_id}/{suite.cell(slot)}", shown)
            yield in_cell(probe, slot, named, suite=suite, order=order, factors={})


def _drawn(k: int, drawn: DrawnTriples, *, rng: np.random.Generator) -> Probe:
    gold = k % 3
    places = (HERE, *offsets(gold, reach=drawn.reach, rng=rng))
    squares = [_square(at, colour, drawn) for at, colour in zip(places, (RED, GREEN, BLUE), strict=True)]
    scene = on_black(squares, size_px=drawn.size_px, rng=rng)
    name = f"triple-{k:04d}"
    return _probe(name, QUESTION, OPTIONS, gold=gold, scene=scene, cluster_id=name)


def _own(
    thing: Thing, things: Sequence[Thing], given: PictureTriples, *, turn: int, rng: np.random.Generator
) -> Iterator[Probe]:
    """Three triples of the same pictures, one for each answer."""
    trio = (thing, *_others(thing, things, rng=rng))
    options = (trio[1].caption, trio[2].caption, EQUAL)
    for gold, nearer in enumerate(NEARER):
        places = (HERE, *offsets(gold, reach=given.reach, rng=rng))
        shown = [_hung(one, at, given) for one, at in zip(trio, places, strict=True)]
        scene = on_black(shown, size_px=given.size_px, rng=rng)
        asked = OF_PICTURES.format(caption=thing.caption)
        yield _probe(
            f"{thing.name}-{turn}-{nearer}", asked, options, gold=gold, scene=scene, cluster_id=thing.cluster_id
        )


def _others(thing: Thing, things: Sequence[Thing], *, rng: np.random.Generator) -> tuple[Thing, Thing]:
    """Two pictures of chance, of clusters of their own and with captions that can be told apart."""
    mixed = [things[int(k)] for k in rng.permutation(len(things))]
    rest = [t for t in mixed if t.cluster_id != thing.cluster_id and apart(thing.caption, t.caption, EQUAL)]
    for one, other in combinations(rest, 2):
        if one.cluster_id != other.cluster_id and apart(one.caption, other.caption):
            return one, other
    raise BadSuite(
        f"{thing.name}: found no two pictures to stand beside it among {len(things) - 1}; three need three "
        f"clusters, and captions of which none contains another or {EQUAL!r}; add pictures or word them apart"
    )


def _probe(name: str, question: str, options: tuple[str, ...], *, gold: int, scene: Scene, cluster_id: str) -> Probe:
    return Probe(
        probe_id=name,
        task=TASK,
        question=question,
        options=options,
        gold=gold,
        evidence=image(name, scene),
        backgrounds=(),
        cluster_id=cluster_id,
    )


def _square(at: Offset, colour: RGB, drawn: DrawnTriples) -> Sprite:
    """A square of one fine cell; its place is from the cell in the upper left corner."""
    xy = (at[0] + 0.5) / drawn.fine, (at[1] + 0.5) / drawn.fine
    return Sprite(form="square", colour_rgb=colour, centre_xy=xy, radius=0.5 / drawn.fine)


def _hung(thing: Thing, at: Offset, given: PictureTriples) -> Picture:
    """A picture in a cell; its place is from the cell in the upper left corner."""
    left_top_px = at[0] * given.cell_px + given.margin_px, at[1] * given.cell_px + given.margin_px
    return framed(*thing.file, left_top_px=left_top_px, side_px=given.picture_px, size_px=given.size_px)


def _anchor(index: int, count: int, suite: Suite) -> int:
    """The fine cell of the middle of a triple, from the first to the last that leave room for its reach."""
    given = suite.source.given
    reach, last = given.reach, given.fine - 1 - given.reach
    return (reach + last) // 2 if count == 1 else reach + round(index * (last - reach) / (count - 1))
