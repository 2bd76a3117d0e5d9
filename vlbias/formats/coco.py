"""COCO's annotations as targets and its results as detections: boxes xywh in pixels; crowds are left out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlbias.errors import BadInput
from vlbias.formats._predictions import Box, Target, box, distinct, number, numbers, one_order, rows_of, text


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


@dataclass(frozen=True, kw_only=True)
class Detection:
    """A box that a detector gave an image, xyxy in 0..1, with its category's name and its score."""

    image: str
    box_xyxy: Box
    kind: str
    score: float


def are_results(path: Path) -> bool:
    """Whether the rows of a file are COCO results (with an `image_id`) and not predictions for targets."""
    return all("image_id" in row for row in rows_of(path))


def detections(path: Path, file: Path) -> list[Detection]:
    """The rows of a COCO results file, `{"image_id", "category_id", "bbox": [x, y, w, h], "score"}`, in pixels.

    `file` is the instances file that they belong to. BadInput for an unknown image or category, a row without a score,
    and a box that does not lie in its image; boxes that all fit xyxy and not xywh are named.
    """
    body = json.loads(file.read_text("utf-8"))  # already read and checked as targets
    images = {row["id"]: row for row in body["images"]}
    names = {row["id"]: row["name"] for row in body["categories"]}
    rows = rows_of(path)
    for n, row in enumerate(rows, start=1):
        for key, known in (("image_id", images), ("category_id", names)):
            if row.get(key) not in known:
                raise BadInput(f"{path}: row {n}: {key} {row.get(key)!r} is not in {file}")
    corners = [numbers(row, "bbox", count=4, where=f"{path}: row {n}") for n, row in enumerate(rows, start=1)]
    sizes = [_size(row, images, path) for row in rows]
    one_order(corners, sizes, declared="xywh", path=path)
    return [
        Detection(
            image=str(images[row["image_id"]]["file_name"]),
            box_xyxy=box(corner, order="xywh", scale=size, where=f"{path}: row {n}"),
            kind=str(names[row["category_id"]]),
            score=number(row, "score", where=f"{path}: row {n}"),
        )
        for n, (row, corner, size) in enumerate(zip(rows, corners, sizes, strict=True), start=1)
    ]


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
