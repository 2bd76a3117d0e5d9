"""Writes boxes and points in the way of a family: the other direction of `_boxes`, for a model that is a script."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias

from vlbias.errors import ModelError, UnknownName

Place: TypeAlias = Sequence[float]


def _pairs(place: Place) -> str:
    return ",".join(f"({round(1000 * x)},{round(1000 * y)})" for x, y in zip(place[::2], place[1::2], strict=True))


def _object(box_key: str, point_key: str, side: tuple[float, float], *, y_first: bool = False) -> Callable[..., str]:
    def write(place: Place) -> str:
        numbers = [round(v * s, 1) for v, s in zip(place, side * 2, strict=False)]
        if y_first:
            numbers = [numbers[k] for k in (1, 0, 3, 2)[: len(numbers)]]
        return f"```json\n{json.dumps([{(box_key if len(place) == 4 else point_key): numbers}])}\n```"

    return write


def _moondream(place: Place) -> str:
    names = ("x_min", "y_min", "x_max", "y_max") if len(place) == 4 else ("x", "y")
    return json.dumps(dict(zip(names, (round(v, 4) for v in place), strict=True)))


def _bins(mark: str, count: int, *, digits: int, y_first: bool) -> Callable[[Place], str]:
    def write(place: Place) -> str:
        order = (1, 0, 3, 2) if y_first else (0, 1, 2, 3)
        return "".join(f"{mark}{min(count - 1, int(count * place[k])):0{digits}d}>" for k in order)

    return write


def _tagged(opening: str, closing: str, side: int) -> Callable[[Place], str]:
    return lambda place: f"{opening}[[{', '.join(str(round(side * v)) for v in place)}]]{closing}"


def _kosmos(place: Place) -> str:
    x1, y1, x2, y2 = (min(31, int(32 * v)) for v in place)
    return f"<object><patch_index_{32 * y1 + x1:04d}><patch_index_{32 * y2 + x2:04d}></object>"


_WRITE: Mapping[str, Callable[[Place], str]] = MappingProxyType(
    {
        "qwen2_vl": lambda place: f"<|box_start|>{_pairs(place)}<|box_end|>",
        "qwen3_vl": _object("bbox_2d", "point_2d", (1000, 1000)),
        "gemini": _object("box_2d", "point", (1000, 1000), y_first=True),
        "moondream": _moondream,
        "paligemma": _bins("<loc", 1024, digits=4, y_first=True),
        "florence2": _bins("<loc_", 1000, digits=1, y_first=False),
        "internvl": _tagged("<box>", "</box>", 1000),
        "deepseek_vl2": _tagged("<|det|>", "<|/det|>", 999),
        "kosmos2": _kosmos,
    }
)
WRITES = (*_WRITE, "qwen2_5_vl")
POINTS = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "gemini", "moondream")


def written(place: Place, *, family: str, input_wh_px: tuple[int, int]) -> str:
    """A box (xyxy) or point (xy) in 0..1 of the image as a family writes it, to its own precision.

    `input_wh_px` is used by Qwen2.5-VL, which writes pixels. Raises ModelError for a point in a family without points.
    """
    if family not in WRITES:
        raise UnknownName(what="family of box formats", name=family, known=WRITES)
    if len(place) == 2 and family not in POINTS:
        raise ModelError(f"{family} writes no points; ask it for a box, or choose one of {', '.join(POINTS)}")
    if family == "qwen2_5_vl":
        return _object("bbox_2d", "point_2d", (float(input_wh_px[0]), float(input_wh_px[1])))(place)
    return _WRITE[family](place)
