"""ScreenSpot-v2's targets (arXiv 2410.23218): JSON with boxes xywh, or parquet with boxes xyxy, in pixels or 0..1.

Both forms are in use, and a box alone does not say which it is; the whole file does, or it is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from pyarrow import ArrowInvalid

from vlbias.errors import BadInput
from vlbias.formats._predictions import Numbers, Target, numbers, one_order, rows_of, text
from vlbias.formats._screens import screen_targets, size_wh_px

NEEDS_IMAGES = True
_UNIT = (1.0, 1.0)


def targets(path: Path, *, images: Path) -> list[Target]:
    """The targets of one file; `kind` is the data_type, text or icon."""
    table = path.suffix == ".parquet"
    rows = _parquet(path) if table else rows_of(path)
    where = [f"{path}: row {n}" for n in range(1, len(rows) + 1)]
    corners = [numbers(row, "bbox", count=4, where=w) for row, w in zip(rows, where, strict=True)]
    share = all(max(one) <= 1 for one in corners)
    if any(max(one) <= 1 for one in corners) and not share:
        raise BadInput(f"{path}: some boxes lie in 0..1 and some beyond; give one file per convention")
    sizes = [size_wh_px(images, text(r, "img_filename", where=w), where=w) for r, w in zip(rows, where, strict=True)]
    order = "xyxy" if table else "xywh"
    one_order(corners, [_UNIT] * len(rows) if share else sizes, declared=order, path=path)
    if share:
        corners = [_pixels(one, size) for one, size in zip(corners, sizes, strict=True)]
    return screen_targets(rows, corners, sizes, order=order, path=path)


def _pixels(corners: Sequence[float], size_wh: tuple[float, float]) -> Numbers:
    return tuple(value * size_wh[k % 2] for k, value in enumerate(corners))


def _parquet(path: Path) -> list[dict[str, Any]]:
    try:
        table = pq.read_table(path)
    except (OSError, ArrowInvalid) as error:
        raise BadInput(f"{path}: cannot be read as parquet: {error}") from error
    names = [name for name in table.column_names if name != "image"]  # the pixels stay where they are
    rows: list[dict[str, Any]] = table.select(names).to_pylist()
    if not rows:
        raise BadInput(f"{path}: holds no row")
    return rows
