"""Reads boxes and points from a model's words, in the way of its family, and refuses what it cannot read.

Canonical is xyxy in 0..1 of the original image: x to the right, y downwards, from the top left corner. A reply is read
as a whole: one unreadable box makes the reply unreadable, and nothing is repaired, reordered or clipped.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

from vlbias.errors import ModelError, UnknownName
from vlbias.models._box_text import Found, Unreadable, angle_boxes, json_boxes, loc_boxes, patch_boxes, tagged_boxes
from vlbias.records import Fault

Box: TypeAlias = tuple[float, float, float, float]
Point: TypeAlias = tuple[float, float]
Size: TypeAlias = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Located:
    """The boxes (xyxy) and points (xy) of one reply, in the order in which they are said, in 0..1 of the image.

    Both are empty only where the reply says so in its own format (an empty list).
    """

    boxes_xyxy: tuple[Box, ...] = ()
    points_xy: tuple[Point, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Family:
    """How a family writes: the reader of its text, the length of a side in its units, and whether y comes first.

    `side` None means pixels of the model's input. `tiny` says that a box within 0..1 may also be meant in 0..1, so that
    two frames fit. A bin is read at its `centre`, in bins.
    """

    read: Callable[[str], Found]
    side: float | None
    y_first: bool = False
    tiny: bool = True
    centre: float = 0.0
    highest: float | None = None


# Sources: transformers' processors (Qwen2.5-VL, PaliGemma, Florence-2, Kosmos-2) and each model's own evaluation code.
FAMILIES = MappingProxyType(
    {
        "qwen2_vl": Family(read=angle_boxes, side=1000),
        "qwen2_5_vl": Family(read=json_boxes("bbox_2d", "point_2d"), side=None),
        "qwen3_vl": Family(read=json_boxes("bbox_2d", "point_2d"), side=1000),
        "paligemma": Family(read=loc_boxes("<loc", r"<loc(\d{4})>", runs=False), side=1024, y_first=True, tiny=False,
                            highest=1023),
        "florence2": Family(read=loc_boxes("<loc_", r"<loc_(\d{1,3})>", runs=True), side=1000, tiny=False, centre=0.5,
                            highest=999),
        "internvl": Family(read=tagged_boxes("<box>", "</box>"), side=1000),
        "deepseek_vl2": Family(read=tagged_boxes("<|det|>", "<|/det|>"), side=999),
        "kosmos2": Family(read=patch_boxes, side=1, tiny=False),
        "gemini": Family(read=json_boxes("box_2d", "point"), side=1000, y_first=True),
        "moondream": Family(read=json_boxes(("x_min", "y_min", "x_max", "y_max"), ("x", "y")), side=1, tiny=False),
    }
)  # fmt: skip


def located(text: str, *, family: str, input_wh_px: Size | None = None) -> Located | Fault:
    """The boxes and points that a reply of a family means, or a Fault of kind `parse` that says what is wrong.

    `input_wh_px` is the size of the image as the model met it: Qwen2.5-VL writes pixels of it, the others ignore it.
    Refused are: text of another format, a box that is cut off, numbers outside the frame, a far corner that is not
    right of and below the near one (as in xywh or swapped axes), and a box that fits two frames (all numbers at most 1
    where a side has 1000). Boxes that are wrong but lie inside the frame cannot be told from one reply: see
    `which_frame`. An unknown family, or no size where one is needed, is an error of the caller.
    """
    if family not in FAMILIES:
        raise UnknownName(what="family of box formats", name=family, known=FAMILIES)
    how = FAMILIES[family]
    if how.side is None and (input_wh_px is None or min(input_wh_px) < 1):
        raise ModelError(f"boxes of {family} are in pixels of the model's input; give input_wh_px, found {input_wh_px}")
    sides: Point = (how.side, how.side) if how.side is not None else _sides(input_wh_px)
    try:
        found = how.read(text)
        if family == "internvl":
            sides = _internvl_sides(found)
        boxes = tuple(_box(numbers, how, sides) for numbers in found.boxes)
        points = tuple(_lone_point(numbers, how, sides) for numbers in found.points)
    except Unreadable as error:
        return Fault(kind="parse", reason=f"boxes of {family}: {error}", reply=text)
    return Located(boxes_xyxy=boxes, points_xy=points)


def numbers(text: str, *, family: str) -> tuple[float, ...] | None:
    """The four numbers of the one box of a reply as they are written, in no frame; None where there is not one box."""
    try:
        found = FAMILIES[family].read(text)
    except Unreadable:
        return None
    return found.boxes[0] if len(found.boxes) == 1 and not found.points else None


def _sides(input_wh_px: Size | None) -> Point:
    assert input_wh_px is not None  # checked by the caller
    return float(input_wh_px[0]), float(input_wh_px[1])


def _box(numbers: tuple[float, ...], how: Family, sides: Point) -> Box:
    near, far = _point(numbers[:2], how, sides), _point(numbers[2:], how, sides)
    if far[0] <= near[0] or far[1] <= near[1]:
        raise Unreadable(f"the corners of {list(numbers)} are not near and far; is it xywh, or are its axes swapped?")
    if how.tiny and sides != (1.0, 1.0) and max(numbers) <= 1:
        raise Unreadable(f"{list(numbers)} fits two frames: 0..1, and 0..{sides[0]:g}; ask again for whole numbers")
    return (*near, *far)


def _lone_point(numbers: tuple[float, ...], how: Family, sides: Point) -> Point:
    if how.tiny and sides != (1.0, 1.0) and 0 < max(numbers) <= 1:
        raise Unreadable(f"{list(numbers)} fits two frames: 0..1, and 0..{sides[0]:g}; ask again for whole numbers")
    return _point(numbers, how, sides)


def _point(numbers: tuple[float, ...], how: Family, sides: Point) -> Point:
    y_x = how.y_first
    xy = (numbers[1], numbers[0]) if y_x else (numbers[0], numbers[1])
    for value, side in zip(xy, sides, strict=True):
        top = side if how.highest is None else how.highest
        if not (math.isfinite(value) and 0 <= value <= top):
            raise Unreadable(f"{value} lies outside the frame 0..{top:g}")
    return (xy[0] + how.centre) / sides[0], (xy[1] + how.centre) / sides[1]


def _internvl_sides(found: Found) -> Point:
    """InternVL's own rule, a box at a time: numbers that sum to 4 or more are in 0..1000, else in 0..1.

    We refuse where its rule would guess: whole numbers of at most 1, and replies that mix the two.
    """
    kinds = set()
    for numbers in found.boxes:
        if sum(numbers) < 4 and (max(numbers) > 1 or all(float(v).is_integer() for v in numbers)):
            raise Unreadable(f"{list(numbers)} fits two frames: 0..1, and 0..1000")
        kinds.add(1000.0 if sum(numbers) >= 4 else 1.0)
    if len(kinds) > 1:
        raise Unreadable("one reply holds boxes in 0..1 and in 0..1000")
    side = kinds.pop() if kinds else 1000.0
    return side, side
