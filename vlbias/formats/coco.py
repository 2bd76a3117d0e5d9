"""COCO's annotations as targets: boxes xywh in pixels, with the sizes of the images; crowds are left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vlbias.errors import BadInput
from vlbias.formats._predictions import Target, box, distinct, numbers, one_order, text


def targets(path: Path) -> list[Target]:
    """The annotations of an instances file; `kind` is the category's name, the id is the annotation's."""
    try:
        body = json.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise BadInput(f"{path}: cannot be read as JSON: {error}") from error
    parts = {
        name: body.get(name) if isinstance(body, dict) else None for name in ("images", "annotations", "categories")
    }
    for name, value in parts.items():
        if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
            raise BadInput(f"{path}: {name} is not a list of objects; expected images, annotations and categories")
    images = {row.get("id"): row for row in parts["images"] or []}
    names = {row.get("id"): row.get("name") for row in parts["categories"] or []}
    rows = [row for row in parts["annotations"] or [] if row.get("iscrowd", 0) == 0]
    if not rows:
        raise BadInput(f"{path}: there is no annotation")
    corners = [numbers(row, "bbox", count=4, where=f"{path}: annotation {row.get('id')}") for row in rows]
    sizes = [_size(row, images, path) for row in rows]
    one_order(corners, sizes, declared="xywh", path=path)
    return distinct([_target(*one, images, names, path) for one in zip(rows, corners, sizes, strict=True)], path=path)


def _target(
    row: dict[str, Any],
    corners: tuple[float, ...],
    size: tuple[float, float],
    images: dict[Any, dict[str, Any]],
    names: dict[Any, Any],
    path: Path,
) -> Target:
    where = f"{path}: annotation {row.get('id')}"
    kind = names.get(row.get("category_id"))
    if not isinstance(kind, str):
        raise BadInput(f"{where}: category {row.get('category_id')!r} is not among the categories")
    return Target(
        target_id=text(row, "id", where=where),
        image=text(images[row["image_id"]], "file_name", where=where),
        box_xyxy=box(corners, order="xywh", scale=size, where=where),
        size_wh_px=size,
        kind=kind,
        row=row,
    )


def _size(row: dict[str, Any], images: dict[Any, dict[str, Any]], path: Path) -> tuple[float, float]:
    where = f"{path}: annotation {row.get('id')}"
    image = images.get(row.get("image_id"))
    if image is None:
        raise BadInput(f"{where}: image {row.get('image_id')!r} is not among the images")
    width, height = image.get("width"), image.get("height")
    if not all(isinstance(v, int) and not isinstance(v, bool) and v > 0 for v in (width, height)):
        raise BadInput(f"{where}: its image has the size {width!r} x {height!r}; right are two whole numbers")
    return float(width or 0), float(height or 0)
