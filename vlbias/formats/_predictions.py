"""Targets of other people's data sets and somebody's predictions for them, joined by id: what an audit reads."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from vlbias.errors import BadInput

Box: TypeAlias = tuple[float, float, float, float]
Numbers: TypeAlias = tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Target:
    """What is to be found: a box, xyxy in 0..1 of an image of `size_wh_px`, of a `kind` (text, icon, a category).

    `mention` is the place, from 0, at which a caption of the image names it, where a data set tells. `row` is the data
    set's own row, so that a subset can be written as it was.
    """

    target_id: str
    image: str
    box_xyxy: Box
    size_wh_px: tuple[float, float]
    kind: str
    phrase: str = ""
    mention: int | None = None
    row: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """A point (xy), a box (xyxy) or nothing (None), in 0..1 of the image."""

    target_id: str
    found: Numbers | None
    score: float | None = None


def rows_of(path: Path, *, key: str | None = None) -> list[dict[str, Any]]:
    """The objects of a JSON list, of a JSON object's list `key`, or of JSONL. BadInput names the file and line."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: cannot be read: {error}") from error
    lined = path.suffix == ".jsonl"
    try:
        value = [json.loads(line) for line in text.splitlines() if line.strip()] if lined else json.loads(text)
    except json.JSONDecodeError as error:
        raise BadInput(f"{path}: not JSON: {error}") from error
    if isinstance(value, dict) and key is not None:
        value = value.get(key)
    if not isinstance(value, list) or not value or not all(isinstance(row, dict) for row in value):
        inside = f" or an object that holds it as {key!r}" if key else ""
        raise BadInput(f"{path}: expected a list of objects{inside}, and one object or more")
    return value


def rows_by_id(path: Path, known: Container[str], *, what: str, of: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Where each row stands, its `id` and the row; an unknown id and a second row of an id are errors."""
    seen: set[str] = set()
    for n, row in enumerate(rows_of(path), start=1):
        where = f"{path}: row {n}"
        name = text(row, "id", where=where)
        if name not in known:
            raise BadInput(f"{where}: {what} the unknown id {name!r}; it is no {of} of this data set")
        if name in seen:
            raise BadInput(f"{where}: a second {what} {name!r}; keep one")
        seen.add(name)
        yield where, name, row


def numbers(row: dict[str, Any], name: str, *, count: int, where: str) -> Numbers:
    """`count` finite numbers under a name of a row."""
    value = row.get(name)
    if not isinstance(value, list) or len(value) != count or not all(_finite(v) for v in value):
        raise BadInput(f"{where}: {name} is {value!r}; right are {count} numbers")
    return tuple(float(v) for v in value)


def number(row: dict[str, Any], name: str, *, where: str) -> float:
    """The finite number under a name of a row."""
    value = row.get(name)
    if not _finite(value):
        raise BadInput(f"{where}: {name} is {value!r}; right is a number")
    return float(row[name])


def text(row: dict[str, Any], name: str, *, where: str) -> str:
    """The text or whole number under a name of a row, as text."""
    value = row.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise BadInput(f"{where}: {name} is {value!r}; right is a text")
    return str(value)


def box(corners: Sequence[float], *, order: str, scale: tuple[float, float], where: str) -> Box:
    """xyxy in 0..1 from xyxy or xywh in units of which the image has `scale`. What lies outside is refused, not cut."""
    x, y, c, d = corners
    x2, y2 = (x + c, y + d) if order == "xywh" else (c, d)
    out = (x / scale[0], y / scale[1], x2 / scale[0], y2 / scale[1])
    if not (out[0] < out[2] and out[1] < out[3]):
        raise BadInput(f"{where}: {list(corners)} is no box as {order}: x2 and y2 must be larger; is it another order?")
    if min(out) < 0 or max(out) > 1 + 1e-6:
        raise BadInput(
            f"{where}: {list(corners)} as {order} does not lie in an image of {scale[0]:g} x {scale[1]:g}; "
            "is it another order (xywh, xyxy) or another scale (pixels, 0..1)?"
        )
    return out[0], out[1], min(out[2], 1.0), min(out[3], 1.0)


def one_order(corners: Sequence[Numbers], sizes: Sequence[tuple[float, float]], *, declared: str, path: Path) -> None:
    """Refuses boxes of which the whole file fits the other order and not the declared one."""
    fits = {"xyxy": 0, "xywh": 0}
    for (x, y, c, d), (width, height) in zip(corners, sizes, strict=True):
        fits["xyxy"] += c > x and d > y and c <= width and d <= height
        fits["xywh"] += c > 0 and d > 0 and x + c <= width * (1 + 1e-6) and y + d <= height * (1 + 1e-6)
    other = "xywh" if declared == "xyxy" else "xyxy"
    if fits[declared] < len(corners):
        more = f"; all {len(corners)} fit {other}" if fits[other] == len(corners) else ""
        raise BadInput(
            f"{path}: {len(corners) - fits[declared]} of {len(corners)} boxes do not fit {declared} pixels in their "
            f"images{more}; correct the file"
        )


def distinct(targets: Sequence[Target], *, path: Path) -> list[Target]:
    """The targets, when each id stands once."""
    twice = [name for name, n in Counter(t.target_id for t in targets).items() if n > 1]
    if twice:
        raise BadInput(f"{path}: {len(twice)} ids stand twice, as {twice[0]!r}; make them differ")
    return list(targets)


def predictions(path: Path, targets: Sequence[Target], *, frame: str) -> list[Prediction]:
    """Predictions of JSON or JSONL rows `{"id": ..., "point": [x, y]}`, `"box": [x1, y1, x2, y2]`, or `null` for none.

    `frame` says in what they are written, and is never guessed: `pixels` of the image, `0..1` or `0..1000`. A
    prediction for an unknown id, a second one for an id, and a number outside the image are errors. Targets without a
    prediction are in the list without one.
    """
    known = {t.target_id: t for t in targets}
    made: dict[str, Prediction] = {}
    for where, name, row in rows_by_id(path, known, what="prediction for", of="target"):
        made[name] = _prediction(row, known[name], frame=frame, where=where)
    return [made.get(t.target_id, Prediction(target_id=t.target_id, found=None)) for t in targets]


def _prediction(row: dict[str, Any], target: Target, *, frame: str, where: str) -> Prediction:
    given = [name for name in ("point", "box") if name in row]
    if len(given) != 1:
        raise BadInput(
            f"{where}: found {' and '.join(given) or 'neither'}; give exactly one of point, box (null: none)"
        )
    score = row.get("score")
    if score is not None and not _finite(score):
        raise BadInput(f"{where}: score is {score!r}; right is a number or nothing")
    if row[given[0]] is None:
        return Prediction(target_id=target.target_id, found=None, score=score)
    raw = numbers(row, given[0], count=2 if given[0] == "point" else 4, where=where)
    scale = {"pixels": target.size_wh_px, "0..1": (1.0, 1.0), "0..1000": (1000.0, 1000.0)}[frame]
    if len(raw) == 4:
        return Prediction(
            target_id=target.target_id, found=box(raw, order="xyxy", scale=scale, where=where), score=score
        )
    xy = raw[0] / scale[0], raw[1] / scale[1]
    if min(xy) < 0 or max(xy) > 1:
        raise BadInput(f"{where}: point {list(raw)} lies outside the image in {frame}; say its frame with --frame")
    return Prediction(target_id=target.target_id, found=xy, score=score)


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


Reader: TypeAlias = Callable[[Path], list[Target]]
