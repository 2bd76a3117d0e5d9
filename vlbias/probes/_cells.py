"""Puts drawn sprites into the cells of a grid over an image."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vlbias.probes._world import COLOURS, SHAPES, TEXTURES
from vlbias.records import Scene, Sprite

_FILL = 0.36  # the radius of a sprite, in heights of a cell
_STILL_S, _STILL_FPS = 1.0, 1.0


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
    def radius(self) -> float:
        """The radius of a sprite that fits a cell, in heights of the image."""
        width, height = self.size_px
        return _FILL * min(width / self.columns, height / self.rows) / height


def sprite(shape: str, colour: str, grid: Grid, index: int) -> Sprite:
    """A coloured shape in the middle of a cell."""
    return Sprite(form=shape, colour_rgb=COLOURS[colour], centre_xy=grid.centre_xy(index), radius=grid.radius)


def still(sprites: tuple[Sprite, ...], grid: Grid, *, rng: np.random.Generator) -> Scene:
    """A picture of the sprites; backdrop, texture and grain are of chance and tell nothing."""
    level = int(rng.integers(8, 48))
    return Scene(
        sprites=sprites,
        backdrop_rgb=(level, level, level),
        texture=str(rng.choice(TEXTURES)),
        duration_s=_STILL_S,
        fps=_STILL_FPS,
        size_wh_px=grid.size_px,
        seed=int(rng.integers(2**31)),
    )


def moved(scene: Scene, grid: Grid, *, home: int, to: int, places: tuple[int, ...]) -> Scene:
    """The scene with its first sprite, drawn in cell `home`, in cell `to`; what stood there goes home.

    `places[k]` is the cell of sprite k. Nothing else changes, so two cells of an item differ by one exchange.
    """
    exchange = {home: to, to: home}
    return replace(
        scene,
        sprites=tuple(
            replace(one, centre_xy=grid.centre_xy(exchange.get(place, place)))
            for one, place in zip(scene.sprites, places, strict=True)
        ),
    )


def pairs_of_looks(n: int, *, rng: np.random.Generator) -> list[tuple[str, str]]:
    """`n` pairs of shape and colour; each shape and each colour as often as any other, to within one."""
    shapes = [SHAPES[k % len(SHAPES)] for k in range(n)]
    colours = [tuple(COLOURS)[k % len(COLOURS)] for k in range(n)]
    return [(shapes[int(a)], colours[int(b)]) for a, b in zip(rng.permutation(n), rng.permutation(n), strict=True)]
