"""The needle probe: images stitched of N x N pictures; in which image, row and column is the one asked for?

After MMNeedle (arXiv 2406.11230), whose pictures we do not ship: drawn ones or the user's stand in their place. There
the reply is free text; here each coordinate is a question with options, so that every model can be scored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from vlbias.errors import BadSuite
from vlbias.probes._cells import Grid, hung, hung_px, image, need_pixels, still
from vlbias.probes._choices import ImageSuite, OneSource, Pixels, need_once
from vlbias.probes._order_suites import chosen_slots
from vlbias.probes._pictures import DrawnThings, Pictures, Thing, apart, drawn_things, read_pictures
from vlbias.probes._soundness import refuse, twice
from vlbias.probes._world import COLOURS, SHAPES
from vlbias.records import Probe, Scene, Segment, Trial

METRICS = ("needle", "failures")
Asks = Literal["image", "row", "column", "there"]
ASKS: tuple[Asks, ...] = ("image", "row", "column", "there")
TASKS = {"image": "Needle Image", "row": "Needle Row", "column": "Needle Column", "there": "Needle Presence"}
TRUE = {"there-yes": "yes", "there-no": "no"}
WORDS = {
    "image": "In which image is this: {caption}? The images are numbered from 1 in the order in which they are shown.",
    "row": "In which row of its image is this: {caption}? Rows are numbered from 1 at the top.",
    "column": "In which column of its image is this: {caption}? Columns are numbered from 1 at the left.",
    "there": "Is this in one of the images: {caption}?",
}
SMALLEST_CELL_PX = 16


class Source(OneSource[DrawnThings | Pictures]):
    """Where the pictures come from: exactly one of drawing and the user's own."""

    drawn: DrawnThings | None = None
    pictures: Pictures | None = None


class Suite(ImageSuite):
    """What stands in the YAML of a suite of this kind.

    The slots of a trial are all cells of all images, image by image in raster order. `asks` are the coordinates that
    are asked for, each a probe of its own; `there` has an absent version, without which a liking for yes is a hit.
    """

    kind: Literal["needle"]
    images: Annotated[int, Field(ge=1, le=26)] = 3
    side: Annotated[int, Field(ge=1, le=8)] = 2
    size_px: tuple[Pixels, Pixels] = (336, 336)
    asks: Annotated[tuple[Asks, ...], Field(min_length=1)] = ASKS
    source: Source

    @property
    def segments(self) -> int:
        """The slots are the cells of all images."""
        return self.images * self.side**2

    @property
    def grid(self) -> Grid:
        """The cells of one image."""
        return Grid(rows=self.side, columns=self.side, size_px=self.size_px)

    @model_validator(mode="after")
    def _fits(self) -> Suite:
        if self.segments < 2:
            raise ValueError("images and side: found 1 cell; give at least 2")
        need_pixels(self.grid, smallest_px=SMALLEST_CELL_PX, key="size_px")
        need_once("asks", self.asks)
        for name in self.asks:
            if name != "there" and (self.images if name == "image" else self.side) < 2:
                raise ValueError(f"asks: {name} has one answer only with these images and this side; leave it out")
        return self


def probes(suite: Suite, *, folder: Path) -> list[Probe]:
    """For each thing a probe per coordinate, and for `there` one that is there and one that is not; one cluster."""
    things = _things(suite, folder=folder)
    if len(things) < suite.segments + 1:
        raise BadSuite(
            f"suite {suite.name}: found {len(things)} pictures; {suite.images} images of {suite.side} x {suite.side} "
            f"and an absent one need {suite.segments + 1}; add pictures or lower images or side"
        )
    looked_for = things[: suite.source.drawn.items] if suite.source.drawn else things
    rng = np.random.default_rng(suite.source.given.seed)
    found = [probe for thing in looked_for for probe in _asked(thing, things, suite, rng=rng)]
    refuse(twice(found), suite=suite.name)
    return found


def trials(probes: Sequence[Probe], *, suite: Suite, seed: int, slots: Sequence[int] | None = None) -> Iterator[Trial]:
    """Each probe with its thing in each cell of each image; it changes places with what stands there, all else stays.

    The factors are `asks`, `coordinate`, `item`, `in_image`, `cell` (row,column) and `grid`, and for `there` `present`.
    A coordinate is answered by its number; option 0 of the probe is the true one, wherever it is displayed.
    """
    del seed  # all cells are asked, and nothing else is of chance
    chosen = chosen_slots(slots, n_slots=suite.segments, suite=suite.name)
    number: dict[str, int] = {}
    for probe in probes:
        item, coordinate = probe.probe_id.rsplit("/", 1)
        k = number.setdefault(item, len(number))
        for slot in chosen:
            at, cell = divmod(slot, suite.side**2)
            row, column = suite.grid.cell(cell)
            name = f"{probe.probe_id}/{at},{row},{column}"
            told = [("cell", f"{row},{column}"), ("coordinate", coordinate.split("-")[0]), ("grid", suite.grid.name)]
            told += [("in_image", str(at)), ("item", item)]
            if coordinate in TRUE:
                # The places of yes and no alternate from thing to thing.
                order: tuple[int, ...] = (0, 1) if k % 2 == 0 else (1, 0)
                told.append(("present", TRUE[coordinate]))
            else:
                order = _first_at({"image": at, "row": row, "column": column}[coordinate], len(probe.options))
                told += [("asks", "index"), ("labels", "numbers")]
            yield Trial(
                trial_id=name,
                probe=probe,
                slot=slot,
                n_slots=suite.segments,
                segments=tuple(_stitched(probe, name, slot, number, suite) for number in range(suite.images)),
                option_order=order,
                factors=tuple(sorted(told)),
            )


def _first_at(place: int, n: int) -> tuple[int, ...]:
    """The order of options 0 to n - 1 in which option 0 is displayed at `place`."""
    return (*range(1, place + 1), 0, *range(place + 1, n))


def _stitched(probe: Probe, name: str, slot: int, number: int, suite: Suite) -> Segment:
    """One image of a trial: its cells of all the things, of which the one looked for stands at `slot`."""
    things = [probe.evidence, *probe.backgrounds]
    order = list(range(len(things)))
    order[0], order[slot] = order[slot], order[0]
    n_cells = suite.side**2
    parts = [things[k].scenes[0] for k in order[number * n_cells : (number + 1) * n_cells]]
    sprites = [
        replace(one, centre_xy=suite.grid.centre_xy(c), radius=suite.grid.radius)
        for c, part in enumerate(parts)
        for one in part.sprites
    ]
    pictures = [hung(one.path, one.sha256, suite.grid, c) for c, part in enumerate(parts) for one in part.pictures]
    scene = replace(things[1 + number].scenes[0], sprites=tuple(sprites), pictures=tuple(pictures))
    return image(f"{name}/{number}", scene)


def _asked(thing: Thing, things: Sequence[Thing], suite: Suite, *, rng: np.random.Generator) -> list[Probe]:
    """The probes of one thing; all have the same things around it, and `there-no` another thing in its place."""
    rest = [t for t in things if t.cluster_id != thing.cluster_id and apart(t.caption, thing.caption)]
    chosen = [rest[int(k)] for k in rng.permutation(len(rest))[: suite.segments]]
    if len(chosen) < suite.segments:
        raise BadSuite(
            f"{thing.name}: found {len(chosen)} things of other clusters and words; {suite.segments} are needed"
        )
    alone, foil, *around = (image(f"{thing.name}/{one.name}", _cell(one, suite, rng=rng)) for one in (thing, *chosen))
    counts = {"image": suite.images, "row": suite.side, "column": suite.side}
    found = []
    for asks in suite.asks:
        for name in TRUE if asks == "there" else (asks,):
            options = ("yes", "no") if asks == "there" else tuple(f"{asks} {k}" for k in range(counts[asks]))
            found.append(
                Probe(
                    probe_id=f"{thing.name}/{name}",
                    task=TASKS[asks],
                    question=WORDS[asks].format(caption=thing.caption),
                    options=options,
                    gold=1 if name == "there-no" else 0,
                    evidence=foil if name == "there-no" else alone,
                    backgrounds=tuple(around),
                    cluster_id=thing.cluster_id,
                )
            )
    return found


def _cell(thing: Thing, suite: Suite, *, rng: np.random.Generator) -> Scene:
    return still((thing.at(suite.grid, 0),), suite.grid, rng=rng)


def _things(suite: Suite, *, folder: Path) -> list[Thing]:
    """All that can be looked for or stand around; of drawn ones as many as there are."""
    given = suite.source.given
    if isinstance(given, Pictures):
        return read_pictures(given, folder=folder, side_px=hung_px(suite.grid))
    rng = np.random.default_rng(given.seed)
    return drawn_things(len(SHAPES) * len(COLOURS), rng=rng)
