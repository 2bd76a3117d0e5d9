"""What the files of ScreenSpot and ScreenSpot-v2 have in common: one row per target, sizes in the image files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from vlbias.errors import BadInput
from vlbias.formats._predictions import Numbers, Target, box, distinct, text


def size_wh_px(images: Path, name: str, *, where: str) -> tuple[float, float]:
    """The size of an image file, told from its header."""
    path = images / name
    try:
        with Image.open(path) as file:
            return float(file.width), float(file.height)
    except OSError as error:
        raise BadInput(
            f"{where}: the size of {path} cannot be read: {error}; say with --images where it lies"
        ) from error


def screen_targets(
    rows: Sequence[Mapping[str, Any]],
    corners: Sequence[Numbers],
    sizes: Sequence[tuple[float, float]],
    *,
    order: str,
    path: Path,
) -> list[Target]:
    """Targets of rows with img_filename, instruction and data_type; ids are the rows' own or their numbers from 1."""
    out = []
    for n, (row, one, size) in enumerate(zip(rows, corners, sizes, strict=True), start=1):
        where = f"{path}: row {n}"
        out.append(
            Target(
                target_id=str(row.get("id", n)),
                image=text(dict(row), "img_filename", where=where),
                box_xyxy=box(one, order=order, scale=size, where=where),
                size_wh_px=size,
                kind=text(dict(row), "data_type", where=where),
                phrase=text(dict(row), "instruction", where=where),
                row=row,
            )
        )
    return distinct(out, path=path)
