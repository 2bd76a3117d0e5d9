"""RefCOCO, RefCOCO+ and RefCOCOg as evaluations read them: JSONL of image, sent, bbox xyxy in pixels, width, height."""

from __future__ import annotations

from pathlib import Path

from vlbias.errors import BadInput
from vlbias.formats._predictions import Target, box, distinct, numbers, one_order, rows_of, text


def targets(path: Path) -> list[Target]:
    """The phrases of a file; the candidates of a phrase are the boxes that the file has in its image.

    The id is the row's own or its number from 1. A row may tell its `category`, and by `mention` the place, from 0, at
    which a caption names it.
    """
    rows = rows_of(path)
    where = [f"{path}: row {n}" for n in range(1, len(rows) + 1)]
    corners = [numbers(row, "bbox", count=4, where=w) for row, w in zip(rows, where, strict=True)]
    sizes = [_size(row, where=w) for row, w in zip(rows, where, strict=True)]
    one_order(corners, sizes, declared="xyxy", path=path)
    out = [
        Target(
            target_id=str(row.get("id", n)),
            image=text(row, "image", where=w),
            box_xyxy=box(one, order="xyxy", scale=size, where=w),
            size_wh_px=size,
            kind=str(row.get("category", "any")),
            phrase=text(row, "sent", where=w),
            mention=_mention(row.get("mention"), where=w),
            row=row,
        )
        for n, (row, one, size, w) in enumerate(zip(rows, corners, sizes, where, strict=True), start=1)
    ]
    return distinct(out, path=path)


def _size(row: dict[str, object], *, where: str) -> tuple[float, float]:
    width, height = row.get("width"), row.get("height")
    if isinstance(width, int) and isinstance(height, int) and min(width, height) > 0:
        return float(width), float(height)
    raise BadInput(f"{where}: width and height are {width!r} and {height!r}; right are two whole numbers")


def _mention(value: object, *, where: str) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
        return value
    raise BadInput(f"{where}: mention is {value!r}; right is a whole number from 0, or nothing")
