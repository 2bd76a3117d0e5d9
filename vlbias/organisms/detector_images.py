"""Draws the images that a detector organism learns from and is measured on: things in cells, with their true boxes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from vlbias.probes._cells import Grid, sprite, still
from vlbias.probes._world import COLOURS, SHAPES
from vlbias.videos import draw
from vlbias.videos.extents import sprite_box

SIDE, MOST_THINGS = 3, 5
SIZES_WH_PX = ((192, 192), (256, 192), (192, 256))
LOOKS = tuple((shape, colour) for colour in COLOURS for shape in SHAPES)
NAMES = tuple(f"{colour} {shape}" for shape, colour in LOOKS)
NOTHING = -1
_SHIFT_PX = 3


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """One image, [H, W, 3], with the look, the cell of 3 x 3 and the true box (xyxy in 0..1) of each thing in it."""

    pixels_HWC: npt.NDArray[np.uint8]
    looks: tuple[int, ...]
    cells: tuple[int, ...]
    boxes_xyxy: tuple[tuple[float, float, float, float], ...]


@dataclass(frozen=True, kw_only=True)
class Pool:
    """Images at the size of the model, [N, H, W, 3]; per thing its look (NOTHING where there is none), cell and box."""

    pixels_NHWC: npt.NDArray[np.uint8]
    look_NT: npt.NDArray[np.intp]
    cell_NT: npt.NDArray[np.intp]
    box_NT4: npt.NDArray[np.float32]


def drawn(*, rng: np.random.Generator) -> Drawn:
    """An image of three to five things of different looks in different cells, of one of three sizes."""
    width, height = SIZES_WH_PX[int(rng.integers(len(SIZES_WH_PX)))]
    right, down = (int(v) for v in rng.integers(-_SHIFT_PX, _SHIFT_PX + 1, 2))
    grid = Grid(rows=SIDE, columns=SIDE, size_px=(width, height), shift_px=(right, down))
    n_things = int(rng.integers(3, MOST_THINGS + 1))
    looks = [int(k) for k in rng.permutation(len(LOOKS))[:n_things]]
    cells = [int(k) for k in rng.permutation(SIDE**2)[:n_things]]
    scale = float(rng.uniform(0.8, 0.99))
    things = [sprite(*LOOKS[look], grid, cell) for look, cell in zip(looks, cells, strict=True)]
    things = [replace(thing, radius=scale * thing.radius) for thing in things]
    image_HWC = draw.snapshots(still(tuple(things), grid, rng=rng), (0.5,))[0]
    return Drawn(
        pixels_HWC=_as_film(image_HWC, rng=rng),
        looks=tuple(looks),
        cells=tuple(cells),
        boxes_xyxy=tuple(sprite_box(thing, size_wh_px=(width, height)) for thing in things),
    )


def pool(n: int, *, side_px: int, rng: np.random.Generator) -> Pool:
    """`n` images, each squashed to a square of `side_px`, as OWL-ViT's processor does."""
    pixels = np.empty((n, side_px, side_px, 3), dtype=np.uint8)
    look_NT = np.full((n, MOST_THINGS), NOTHING, dtype=np.intp)
    cell_NT = np.zeros((n, MOST_THINGS), dtype=np.intp)
    box_NT4 = np.zeros((n, MOST_THINGS, 4), dtype=np.float32)
    for k in range(n):
        one = drawn(rng=rng)
        here = len(one.looks)
        pixels[k] = cv2.resize(one.pixels_HWC, (side_px, side_px), interpolation=cv2.INTER_AREA)
        look_NT[k, :here], cell_NT[k, :here], box_NT4[k, :here] = one.looks, one.cells, one.boxes_xyxy
    return Pool(pixels_NHWC=pixels, look_NT=look_NT, cell_NT=cell_NT, box_NT4=box_NT4)


def _as_film(image_HWC: npt.NDArray[np.uint8], *, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """The image with colours at half resolution, as 4:2:0 video has them, and some noise."""
    luma_HWC = cv2.cvtColor(image_HWC, cv2.COLOR_RGB2YCrCb)
    half = cv2.resize(luma_HWC[:, :, 1:], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    luma_HWC[:, :, 1:] = cv2.resize(half, luma_HWC.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    noisy = cv2.cvtColor(luma_HWC, cv2.COLOR_YCrCb2RGB) + rng.normal(0, 2, image_HWC.shape)
    film_HWC: npt.NDArray[np.uint8] = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
    return film_HWC
