"""The box that a drawn thing takes up in its image: what a model that is asked to find it should answer."""

from __future__ import annotations

import math
from collections.abc import Sequence
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
    height_px, width_px = media.image(Path(picture.path)).shape[1:3]
    x, y, w, h = hung_px(picture, (width_px, height_px), size_wh_px=size_wh_px)
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


def hung_px(picture: Picture, file_wh_px: tuple[int, int], *, size_wh_px: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, top, width and height in pixels of a picture as it lies in its box; `file_wh_px` is before its turn."""
    across, down = file_wh_px[::-1] if quarter_turns(picture) % 2 else file_wh_px
    left, top, right, bottom = (round(v * s) for v, s in zip(picture.box_xyxy, size_wh_px * 2, strict=True))
    scale = min((right - left) / across, (bottom - top) / down)
    w, h = max(1, int(across * scale)), max(1, int(down * scale))
    return left + (right - left - w) // 2, top + (bottom - top - h) // 2, w, h


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
