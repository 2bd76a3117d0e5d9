"""ScreenSpot's targets (arXiv 2401.10935): boxes xywh in pixels; the sizes stand in the image files."""

from __future__ import annotations

from pathlib import Path

from vlbias.formats._predictions import Target, numbers, one_order, rows_of, text
from vlbias.formats._screens import screen_targets, size_wh_px

NEEDS_IMAGES = True


def targets(path: Path, *, images: Path) -> list[Target]:
    """The targets of one of the JSON files (mobile, desktop, web); `kind` is the data_type, text or icon."""
    rows = rows_of(path)
    where = [f"{path}: row {n}" for n in range(1, len(rows) + 1)]
    corners = [numbers(row, "bbox", count=4, where=w) for row, w in zip(rows, where, strict=True)]
    sizes = [size_wh_px(images, text(r, "img_filename", where=w), where=w) for r, w in zip(rows, where, strict=True)]
    one_order(corners, sizes, declared="xywh", path=path)
    return screen_targets(rows, corners, sizes, order="xywh", path=path)
