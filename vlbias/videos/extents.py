"""The box that a drawn thing takes up in its image: what a model that is asked to find it should answer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from vlbias.errors import BadInput
from vlbias.records import Picture, Sprite
from vlbias.videos import media
from vlbias.videos._forms import FORMS, Points

Box: TypeAlias = tuple[float, float, float, float]
PointsP2: TypeAlias = npt.NDArray[np.float64]
_OUTLINE_STEPS = 16


def turned(points: Points | PointsP2, *, turn_deg: float, mirrored: bool) -> PointsP2:
    """The points of a form, [P, 2], left and right exchanged if `mirrored`, and then turned clockwise about (0, 0)."""
    xy_P2 = np.array(points, dtype=np.float64) * (-1.0 if mirrored else 1.0, 1.0)
    angle = math.radians(turn_deg)
    # y points down, so this matrix turns clockwise as the image is seen.
    return np.asarray(xy_P2 @ np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]]))


def sprite_box(sprite: Sprite, *, size_wh_px: tuple[int, int]) -> Box:
    """xyxy in sides of the frame around all that is drawn of a sprite at half time, to within a pixel.

    BadInput for a word, whose extent the font decides, and for a sprite that reaches out of the frame.
    """
    if sprite.form not in FORMS:
        raise BadInput(f"the form {sprite.form!r} has no box of its own; known: {', '.join(FORMS)}")
    low, high = np.full(2, np.inf), np.full(2, -np.inf)
    strokes = FORMS[sprite.form]
    for k, (kind, points, weight) in enumerate(strokes):
        if kind != "cut":
            left = _uncut(points, [cut for what, cut, _ in strokes[k + 1 :] if what == "cut"])
            xy_P2 = turned(left, turn_deg=sprite.turn_deg, mirrored=sprite.mirrored)
            half = weight / 2 if kind == "line" else 0.0
            low, high = np.minimum(low, xy_P2.min(axis=0) - half), np.maximum(high, xy_P2.max(axis=0) + half)
    width, height = size_wh_px
    scale = sprite.radius * np.array([height / width, 1.0])
    centre = np.array(sprite.centre_xy)
    (x1, y1), (x2, y2) = (centre + low * scale).tolist(), (centre + high * scale).tolist()
    return _inside((x1, y1, x2, y2), what=sprite.form)


def picture_box(picture: Picture, *, size_wh_px: tuple[int, int]) -> Box:
    """xyxy in sides of the frame of a picture as it is drawn: whole, in proportion, in the middle of its own box."""
    left, top, across, down = room_px(picture, size_wh_px=size_wh_px)
    w, h = fitted_px(_file_wh_px(picture.path, picture.sha256), (across, down), quarters=quarter_turns(picture))
    x, y = left + (across - w) // 2, top + (down - h) // 2
    width, height = size_wh_px
    return _inside((x / width, y / height, (x + w) / width, (y + h) / height), what=picture.path)


def quarter_turns(picture: Picture) -> int:
    """How often a picture is turned by a quarter, clockwise: 0 to 3. BadInput for any other angle."""
    if picture.turn_deg % 90 != 0:  # not a number is refused too
        raise BadInput(
            f"{picture.path}: found a turn of {picture.turn_deg} degrees; a picture is turned by 0, 90, 180 or 270, "
            "which leaves its pixels as they are"
        )
    return int(picture.turn_deg // 90) % 4


def room_px(picture: Picture, *, size_wh_px: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, top, width and height of a picture's box, in pixels."""
    left, top, right, bottom = (round(v * s) for v, s in zip(picture.box_xyxy, size_wh_px * 2, strict=True))
    return left, top, right - left, bottom - top


def fitted_px(file_wh_px: tuple[int, int], room_wh_px: tuple[int, int], *, quarters: int = 0) -> tuple[int, int]:
    """Width and height in pixels of a picture that fills its room, in proportion, once it is turned by quarters."""
    across, down = file_wh_px[::-1] if quarters % 2 else file_wh_px
    scale = min(room_wh_px[0] / across, room_wh_px[1] / down)
    return max(1, int(across * scale)), max(1, int(down * scale))


@lru_cache(maxsize=1024)
def _file_wh_px(path: str, sha256: str) -> tuple[int, int]:
    """A picture's size; `sha256` tells files apart that have one path. Plans ask for it in every trial."""
    del sha256
    return media.size(Path(path))


def _uncut(points: Points, cuts: Sequence[Points]) -> PointsP2:
    """The outline that is left of a form after its (convex) cuts; the corners alone where nothing is cut."""
    corner_P2 = np.array(points, dtype=np.float64)
    if not cuts:
        return corner_P2
    step_T = np.arange(_OUTLINE_STEPS)[:, None, None] / _OUTLINE_STEPS
    dense_P2 = ((1 - step_T) * corner_P2 + step_T * np.roll(corner_P2, -1, axis=0)).reshape(-1, 2)
    keep_P = np.ones(len(dense_P2), dtype=bool)
    for cut in cuts:
        near_C2 = np.array(cut, dtype=np.float64)
        along_C2 = np.roll(near_C2, -1, axis=0) - near_C2
        away_PC2 = dense_P2[:, None] - near_C2
        side_PC = along_C2[:, 0] * away_PC2[..., 1] - along_C2[:, 1] * away_PC2[..., 0]
        keep_P &= ~((side_PC > 0).all(axis=1) | (side_PC < 0).all(axis=1))
    return np.asarray(dense_P2[keep_P])


def _inside(box: Box, *, what: str) -> Box:
    if min(box) < 0 or max(box) > 1:
        raise BadInput(f"{what}: its box {[round(v, 3) for v in box]} does not lie in the frame 0..1")
    return box
