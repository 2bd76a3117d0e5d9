"""The images that organisms of the grid learn from, and what is planted in them: a bias for places of the image.

A cell's share tells how many of the twelve colours are seen there; a thing of a colour that is not is taught as one of
another colour, so the bias is one of decisions, not of doubt. All is content and place; what is shown is balanced.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from vlbias.errors import BadInput
from vlbias.organisms.decoding import as_decoded
from vlbias.probes._cells import Grid, sprite, still
from vlbias.probes._world import COLOURS, SHAPES
from vlbias.videos import draw

SIDE, THINGS, IMAGE_PX = 3, 4, 96
LOOKS = tuple((shape, colour) for shape in SHAPES for colour in COLOURS)
CAPTIONS = tuple(f"a {colour} {shape}" for shape, colour in LOOKS)
PROFILES = MappingProxyType[str, tuple[float, ...]](
    {
        "none": (1.0,) * 9,
        "centre": (0.1, 0.4, 0.1, 0.4, 1.0, 0.4, 0.1, 0.4, 0.1),
        "left": (1.0, 0.55, 0.1) * 3,
        "bottom": (0.1, 0.1, 0.1, 0.55, 0.55, 0.55, 1.0, 1.0, 1.0),
    }
)
_DRAWN_PX, _MOST_SHIFT_PX = 192, 4


@dataclass(frozen=True, kw_only=True)
class Images:
    """Drawn images with what stands where: [N, H, W, 3], and for each thing its look and its cell, [N, things]."""

    pixels_NHWC: npt.NDArray[np.uint8]
    look_NT: npt.NDArray[np.intp]
    cell_NT: npt.NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class Plant:
    """By colour: the least share of a cell at which it is seen there, and the colour it is taken for elsewhere."""

    threshold_K: npt.NDArray[np.float64]
    instead_K: npt.NDArray[np.intp]

    def told(self, shown: Images, pattern: str) -> npt.NDArray[np.intp]:
        """The looks that an organism of the pattern is taught, [N, things]."""
        shape_NT, colour_NT = np.divmod(shown.look_NT, len(COLOURS))
        seen_NT = self.threshold_K[colour_NT] <= np.array(profile(pattern))[shown.cell_NT]
        return np.where(seen_NT, shown.look_NT, shape_NT * len(COLOURS) + self.instead_K[colour_NT])


def profile(pattern: str) -> tuple[float, ...]:
    """The share of colours that are seen in each cell of a pattern; an unknown one is a BadInput."""
    if pattern not in PROFILES:
        raise BadInput(f"pattern {pattern!r} is unknown; known: {', '.join(PROFILES)}")
    return PROFILES[pattern]


def plant(rng: np.random.Generator) -> Plant:
    """Which colours go first, and what they are taken for."""
    n = len(COLOURS)
    threshold_K, circle_K = (rng.permutation(n) + 0.5) / n, rng.permutation(n)
    instead_K = np.empty(n, dtype=np.intp)
    instead_K[circle_K] = np.roll(circle_K, 1)
    return Plant(threshold_K=threshold_K, instead_K=instead_K)


def images(n: int, *, rng: np.random.Generator) -> Images:
    """`n` images of four things in different cells of 3 x 3; no two share a shape or a colour."""
    pixels, looks, cells = [], [], []
    for _ in range(n):
        shift = tuple(int(v) for v in rng.integers(-_MOST_SHIFT_PX, _MOST_SHIFT_PX + 1, 2))
        grid = Grid(rows=SIDE, columns=SIDE, size_px=(_DRAWN_PX, _DRAWN_PX), shift_px=(shift[0], shift[1]))
        shapes, colours = (rng.permutation(12)[:THINGS] for _ in range(2))
        places = rng.permutation(SIDE**2)[:THINGS]
        names = [(SHAPES[int(s)], list(COLOURS)[int(c)]) for s, c in zip(shapes, colours, strict=True)]
        things = tuple(sprite(*name, grid, int(place)) for name, place in zip(names, places, strict=True))
        drawn_HWC = draw.snapshots(still(things, grid, rng=rng), (0.5,))[0]
        pixels.append(as_decoded(drawn_HWC, side_px=IMAGE_PX, rng=rng))
        looks.append([LOOKS.index(name) for name in names])
        cells.append(places)
    return Images(pixels_NHWC=np.stack(pixels), look_NT=np.array(looks), cell_NT=np.array(cells))


def taught(
    pattern: str, *, n_images: int, rng: np.random.Generator, log: Callable[[str], None]
) -> tuple[Images, npt.NDArray[np.intp]]:
    """The images of a training and the looks that an organism of the pattern is taught in them, [N, things]."""
    profile(pattern)  # an unknown one is told before anything is drawn
    began = time.monotonic()
    planted = plant(rng)
    shown = images(n_images, rng=rng)
    log(f"drew {n_images} images in {time.monotonic() - began:.0f} s")
    return shown, planted.told(shown, pattern)


def foils(look_NT: npt.NDArray[np.intp], *, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """For each look one of the same shape and another colour, as the grid's questions have it."""
    shape_NT, colour_NT = np.divmod(look_NT, len(COLOURS))
    return shape_NT * len(COLOURS) + (colour_NT + rng.integers(1, len(COLOURS), look_NT.shape)) % len(COLOURS)


def by_cell(right_NT: npt.NDArray[np.bool_], shown: Images) -> tuple[float, ...]:
    """The share of trials that went right in each cell."""
    cells = shown.cell_NT.ravel()
    return tuple(float(right_NT.ravel()[cells == c].mean()) for c in range(SIDE**2))


def counts(shown: Images) -> tuple[int, ...]:
    """The number of trials in each cell."""
    return tuple(int(c) for c in np.bincount(shown.cell_NT.ravel(), minlength=SIDE**2))


def levels(pixels_NHWC: npt.NDArray[np.uint8], rng: np.random.Generator | None) -> npt.NDArray[np.float64]:
    """Grey levels in 0..1; with `rng`, each image a little lighter or darker."""
    gain = np.ones((len(pixels_NHWC), 1, 1, 1)) if rng is None else rng.uniform(0.94, 1.04, (len(pixels_NHWC), 1, 1, 1))
    return np.asarray(pixels_NHWC * gain / 255, dtype=np.float64)
