"""Three things on the fine cells of an image, of which the first is nearer to the second, to the third, or to none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import TypeAlias

import numpy as np

from vlbias.records import Picture, Scene, Sprite

Offset: TypeAlias = tuple[int, int]
HERE: Offset = (0, 0)


def offsets(gold: int, *, reach: int, rng: np.random.Generator) -> tuple[Offset, Offset]:
    """Where the second and the third stand from the first, in cells: not in one line with it.

    The second is nearer for `gold` 0, the third for 1, and neither for 2. `reach` is 3 or more: with 2 there is one
    length only that several pairs of integers have.
    """
    every = [(x, y) for x in range(-reach, reach + 1) for y in range(-reach, reach + 1) if (x, y) != HERE]
    by_length = {n: list(same) for n, same in groupby(sorted(every, key=_squared), key=_squared)}
    lengths = [n for n, same in by_length.items() if len(same) > 4]  # more than one pair of integers, up to signs
    while True:
        one = lengths[int(rng.integers(len(lengths)))]
        other = one if gold == 2 else lengths[int(rng.integers(len(lengths)))]
        if gold != 2 and one == other:
            continue
        near, far = sorted((one, other))
        second_n, third_n = (far, near) if gold == 1 else (near, far)
        second = by_length[second_n][int(rng.integers(len(by_length[second_n])))]
        third = by_length[third_n][int(rng.integers(len(by_length[third_n])))]
        if second[0] * third[1] != second[1] * third[0]:
            return second, third


def on_black(shown: Sequence[Sprite | Picture], *, size_px: tuple[int, int], rng: np.random.Generator) -> Scene:
    """Three things on black; the grain is of chance."""
    return Scene(
        sprites=tuple(one for one in shown if isinstance(one, Sprite)),
        pictures=tuple(one for one in shown if isinstance(one, Picture)),
        backdrop_rgb=(0, 0, 0),
        texture="plain",
        duration_s=1.0,
        fps=1.0,
        size_wh_px=size_px,
        seed=int(rng.integers(2**31)),
    )


def moved(scene: Scene, *, row: int, column: int, fine: int) -> Scene:
    """The scene with all that it shows moved by so many of `fine` cells down and to the right."""
    x, y = column / fine, row / fine
    return replace(
        scene,
        sprites=tuple(replace(s, centre_xy=(s.centre_xy[0] + x, s.centre_xy[1] + y)) for s in scene.sprites),
        pictures=tuple(replace(p, box_xyxy=_boxed(p, x, y)) for p in scene.pictures),
    )


def _boxed(picture: Picture, x: float, y: float) -> tuple[float, float, float, float]:
    left, top, right, bottom = picture.box_xyxy
    return left + x, top + y, right + x, bottom + y


def _squared(offset: Offset) -> int:
    return offset[0] ** 2 + offset[1] ** 2
