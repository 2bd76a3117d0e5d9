"""ScreenSpot-Pro's targets: boxes xyxy in pixels, with the size of each screen."""

from __future__ import annotations

from pathlib import Path

from vlbias.formats._predictions import Target, box, distinct, numbers, one_order, rows_of, text


def targets(path: Path) -> list[Target]:
    """The targets of a JSON file, or of all JSON files of a folder; `kind` is the ui_type (text or icon)."""
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    out = []
    for file in files:
        rows = rows_of(file)
        where = [f"{file}: row {n}" for n in range(1, len(rows) + 1)]
        corners = [numbers(row, "bbox", count=4, where=w) for row, w in zip(rows, where, strict=True)]
        sizes = [numbers(row, "img_size", count=2, where=w) for row, w in zip(rows, where, strict=True)]
        wh = [(s[0], s[1]) for s in sizes]
        one_order(corners, wh, declared="xyxy", path=file)
        out += [
            Target(
                target_id=text(row, "id", where=w),
                image=text(row, "img_filename", where=w),
                box_xyxy=box(c, order="xyxy", scale=size, where=w),
                size_wh_px=size,
                kind=text(row, "ui_type", where=w),
                phrase=text(row, "instruction", where=w),
                row=row,
            )
            for row, c, size, w in zip(rows, corners, wh, where, strict=True)
        ]
    return distinct(out, path=path)
