"""Puts drawn sprites and pictures into the cells of a grid over an image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from pydantic import Field

from vlbias.probes._choices import ImageSuite
from vlbias.probes._world import COLOURS, SHAPES, TEXTURES
from vlbias.records import Picture, Probe, Scene, Segment, Sprite, Trial

_FILL = 0.36  # the radius of a sprite, in heights of a cell
_STILL_S, _STILL_FPS = 1.0, 1.0
Side = Annotated[int, Field(ge=1, le=32)]


class CellSuite(ImageSuite):
    """The head of a suite whose slots are the cells of a grid, in raster order."""

    rows: Side = 3
    columns: Side = 3

    @property
    def segments(self) -> int:
        """The slots are the cells."""
        return self.rows * self.columns

    def cell(self, slot: int) -> str:
        """A slot as the factor `cell` holds it: row,column."""
        return "{},{}".format(*divmod(slot, self.columns))


@dataclass(frozen=True, kw_only=True)
class Grid:
    """`rows` x `columns` cells over an image of `size_px` (width, height), moved by `shift_px` (right, down)."""

    rows: int
    columns: int
    size_px: tuple[int, int]
    shift_px: tuple[int, int] = (0, 0)

    @property
    def n_cells(self) -> int:
        """The number of cells."""
        return self.rows * self.columns

    @property
    def name(self) -> str:
        """As the factor `grid` holds it: rows x columns."""
        return f"{self.rows}x{self.columns}"

    def cell(self, index: int) -> tuple[int, int]:
        """Row and column of a cell in raster order, from 0."""
        return divmod(index, self.columns)

    def centre_xy(self, index: int) -> tuple[float, float]:
        """The middle of a cell, in sides of the image from the top left corner."""
        row, column = self.cell(index)
        (width, height), (right, down) = self.size_px, self.shift_px
        return (column + 0.5) / self.columns + right / width, (row + 0.5) / self.rows + down / height

    @property
    def cell_px(self) -> int:
        """The shorter side of a cell, in whole pixels."""
        return min(self.size_px[0] // self.columns, self.size_px[1] // self.rows)

    @property
    def radius(self) -> float:
        """The radius of a sprite that fits a cell, in heights of the image."""
        width, height = self.size_px
        return _FILL * min(width / self.columns, height / self.rows) / height


def need_cells(grid: Grid, *, smallest_px: int, key: str) -> None:
    """ValueError unless the grid has at least two cells and each `smallest_px` a side; `key` leads to its size."""
    if grid.n_cells < 2:
        raise ValueError("rows x columns: found 1 cell; give at least 2")
    need_pixels(grid, smallest_px=smallest_px, key=key)


def need_pixels(grid: Grid, *, smallest_px: int, key: str) -> None:
    """ValueError unless each cell of the grid has `smallest_px` a side; `key` leads to its size."""
    if grid.cell_px < smallest_px:
        width, height = grid.size_px
        raise ValueError(
            f"{key}: {width} x {height} pixels are too few for {grid.rows} x {grid.columns} cells; "
            f"a cell needs {smallest_px} pixels a side, found {grid.cell_px}"
        )


def need_even(size_px: tuple[int, int], *, key: str) -> None:
    """ValueError unless both sides are even, as drawing needs them; `key` leads to the size."""
    if size_px[0] % 2 or size_px[1] % 2:
        raise ValueError(f"{key}: found {size_px[0]} x {size_px[1]} pixels; both sides must be even")


def need_room(distractors: int, grid: Grid) -> None:
    """ValueError unless the distractors fit beside the thing, one to a cell."""
    if distractors > grid.n_cells - 1:
        raise ValueError(f"source: distractors: found {distractors}; give at most {grid.n_cells - 1}")


def sprite(shape: str, colour: str, grid: Grid, index: int) -> Sprite:
    """A coloured shape in the middle of a cell."""
    return Sprite(form=shape, colour_rgb=COLOURS[colour], centre_xy=grid.centre_xy(index), radius=grid.radius)


def hung(path: str, sha256: str, grid: Grid, index: int) -> Picture:
    """A picture file in the middle of a cell, as large as a sprite there."""
    x, y = grid.centre_xy(index)
    half_x, half_y = _FILL / grid.columns, _FILL / grid.rows
    return Picture(path=path, sha256=sha256, box_xyxy=(x - half_x, y - half_y, x + half_x, y + half_y))


def hung_px(grid: Grid) -> int:
    """The side of the largest square that `hung` leaves a picture in every cell, in whole, even pixels."""
    return 2 * (int(2 * _FILL * grid.cell_px) // 2)


def framed(path: str, sha256: str, *, left_top_px: tuple[int, int], side_px: int, size_px: tuple[int, int]) -> Picture:
    """A picture file in a square of whole pixels, so that it has one size at every place and after every turn."""
    (left, top), (width, height) = left_top_px, size_px
    box_xyxy = left / width, top / height, (left + side_px) / width, (top + side_px) / height
    return Picture(path=path, sha256=sha256, box_xyxy=box_xyxy)


def place_of(one: Sprite | Picture, grid: Grid) -> int:
    """The cell in which a sprite or a picture stands."""
    x, y = one.centre_xy if isinstance(one, Sprite) else middle_xy(one)
    return int(y * grid.rows) * grid.columns + int(x * grid.columns)


def middle_xy(picture: Picture) -> tuple[float, float]:
    """The middle of a picture's box."""
    left, top, right, bottom = picture.box_xyxy
    return (left + right) / 2, (top + bottom) / 2


def still(shown: tuple[Sprite | Picture, ...], grid: Grid, *, rng: np.random.Generator) -> Scene:
    """An image of sprites and pictures; backdrop, texture and grain are of chance and tell nothing."""
    level = int(rng.integers(8, 48))
    return Scene(
        sprites=tuple(one for one in shown if isinstance(one, Sprite)),
        pictures=tuple(one for one in shown if isinstance(one, Picture)),
        backdrop_rgb=(level, level, level),
        texture=str(rng.choice(TEXTURES)),
        duration_s=_STILL_S,
        fps=_STILL_FPS,
        size_wh_px=grid.size_px,
        seed=int(rng.integers(2**31)),
    )


def moved(scene: Scene, grid: Grid, *, to: int, home_grid: Grid) -> Scene:
    """The scene with its first sprite or picture, which stands in a cell of `home_grid`, in cell `to` of `grid`.

    What stood there goes home. Nothing else changes, so two cells of an item differ by one exchange.
    """
    first: Sprite | Picture = scene.pictures[0] if scene.pictures else scene.sprites[0]
    home = place_of(first, home_grid)
    exchange = {home: to, to: home}

    def cell(one: Sprite | Picture) -> int:
        place = place_of(one, home_grid)
        return exchange.get(place, place)

    return replace(
        scene,
        sprites=tuple(replace(one, centre_xy=grid.centre_xy(cell(one))) for one in scene.sprites),
        pictures=tuple(hung(one.path, one.sha256, grid, cell(one)) for one in scene.pictures),
    )


def image(name: str, scene: Scene) -> Segment:
    """A drawn image."""
    return Segment(segment_id=name, kind="image", scenes=(scene,))


def in_cell(
    probe: Probe, slot: int, shown: Segment, *, suite: CellSuite, order: tuple[int, ...], factors: Mapping[str, str]
) -> Trial:
    """A probe asked of one image, after which the trial is named; the factors get `cell` and `grid`."""
    told = {**factors, "cell": suite.cell(slot), "grid": f"{suite.rows}x{suite.columns}"}
    return Trial(
        trial_id=shown.segment_id,
        probe=probe,
        slot=slot,
        n_slots=suite.segments,
        segments=(shown,),
        option_order=order,
        factors=tuple(sorted(told.items())),
    )


def pairs_of_looks(n: int, *, rng: np.random.Generator) -> list[tuple[str, str]]:
    """`n` pairs of shape and colour; each shape and each colour as often as any other, to within one."""
    shapes = [SHAPES[k % len(SHAPES)] for k in range(n)]
    colours = [tuple(COLOURS)[k % len(COLOURS)] for k in range(n)]
    return [(shapes[int(a)], colours[int(b)]) for a, b in zip(rng.permutation(n), rng.permutation(n), strict=True)]
