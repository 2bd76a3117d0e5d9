"""Tells in which frame a set of boxes is written, from items whose true boxes are known; or refuses to tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from vlbias.errors import BadInput

Floats: TypeAlias = npt.NDArray[np.float64]
FITS, APART = 0.5, 0.1


@dataclass(frozen=True, kw_only=True)
class Frame:
    """How four numbers mean a box: the order of the axes, corner or size, and what a side is long."""

    order: str
    scale: str

    @property
    def name(self) -> str:
        """As a report prints it: `xyxy in 0..1000`."""
        return f"{self.order} in {self.scale}"


SCALES = ("0..1", "0..1000", "pixels of the image", "pixels of the input")
FRAMES = tuple(Frame(order=order, scale=scale) for order in ("xyxy", "xywh", "yxyx") for scale in SCALES)


def which_frame(
    numbers_N4: Floats,
    truth_xyxy_N4: Floats,
    *,
    image_wh_px: Sequence[tuple[int, int]],
    input_wh_px: Sequence[tuple[int, int]],
) -> Frame:
    """The one frame in which the numbers lie over the true boxes (0..1 of the image).

    A frame fits where the median IoU is .5 or more. BadInput where no frame fits, or where a second one fits within .1
    of the best: then the two are named, and more items or items of another size are needed to tell them apart.
    """
    if len(numbers_N4) == 0 or not len(numbers_N4) == len(truth_xyxy_N4) == len(image_wh_px) == len(input_wh_px):
        raise BadInput(f"a frame needs as many true boxes and sizes as boxes, and one or more; found {len(numbers_N4)}")
    image_N2, input_N2 = np.asarray(image_wh_px, np.float64), np.asarray(input_wh_px, np.float64)
    scored = []
    for frame in FRAMES:
        boxes_N4 = as_xyxy(numbers_N4, frame, image_N2, input_N2)
        scored.append((float(np.median(_iou(boxes_N4, truth_xyxy_N4))), frame, boxes_N4))
    scored.sort(key=lambda one: -one[0])
    best, frame, boxes_N4 = scored[0]
    if best < FITS:
        raise BadInput(f"the boxes fit no frame: the best is {frame.name}, with a median IoU of {best:.2f}")
    # Two names for the same boxes are one frame, as where the input is the image itself.
    rivals = [(s, f) for s, f, b in scored[1:] if s > best - APART and s >= FITS and not np.allclose(b, boxes_N4)]
    if rivals:
        score, other = rivals[0]
        raise BadInput(
            f"the boxes fit two frames: {frame.name} (median IoU {best:.2f}) and {other.name} ({score:.2f}); "
            "say which is meant, or give items that tell them apart"
        )
    return frame


def as_xyxy(numbers_N4: Floats, frame: Frame, image_N2: Floats, input_N2: Floats) -> Floats:
    """The boxes that numbers mean in a frame, xyxy in 0..1 of the image; sizes are width and height in pixels."""
    sides: dict[str, Floats] = {
        "0..1": np.ones(2),
        "0..1000": np.full(2, 1000.0),
        "pixels of the image": image_N2,
        "pixels of the input": input_N2,
    }
    side = sides[frame.scale]
    swapped_N4 = numbers_N4[:, [1, 0, 3, 2]] if frame.order == "yxyx" else numbers_N4
    near_N2, far_N2 = swapped_N4[:, :2], swapped_N4[:, 2:]
    if frame.order == "xywh":
        far_N2 = near_N2 + far_N2
    return np.concatenate([near_N2 / side, far_N2 / side], axis=1)


def _iou(one_N4: Floats, other_N4: Floats) -> Floats:
    near_N2, far_N2 = np.maximum(one_N4[:, :2], other_N4[:, :2]), np.minimum(one_N4[:, 2:], other_N4[:, 2:])
    inter_N = np.clip(far_N2 - near_N2, 0, None).prod(axis=1)
    areas = [np.clip(b[:, 2:] - b[:, :2], 0, None).prod(axis=1) for b in (one_N4, other_N4)]
    union_N = areas[0] + areas[1] - inter_N
    return np.asarray(np.where(union_N > 0, inter_N / np.where(union_N > 0, union_N, 1.0), 0.0))
