"""Audits a data set: what blind rules get of it, what a model is worth over the best of them, and a fairer subset."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from vlbias import rooms
from vlbias.errors import BadInput, UnknownName
from vlbias.estimates import Estimate
from vlbias.formats._predictions import Target, predictions
from vlbias.formats._questions import Question, answers
from vlbias.metrics import _detection, _shortcuts
from vlbias.metrics._blocks import Floats


@dataclass(frozen=True, kw_only=True, eq=False)
class DataSet:
    """A data set's rows by id, the image of each, and what every blind rule makes of them."""

    ids: tuple[str, ...]
    images: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...]
    guesses: tuple[_shortcuts.Guess, ...]
    notes: tuple[str, ...] = ()


def reader(format_name: str) -> ModuleType:
    """The format of this name, when it has targets or questions."""
    known = [n for n in rooms.names("formats") if {"targets", "questions"} & set(dir(rooms.find("formats", n)))]
    if format_name not in known:
        raise UnknownName(what="format of a data set", name=format_name, known=known)
    return rooms.find("formats", format_name)


def targets_of(file: Path, format_name: str, *, images: Path | None) -> list[Target]:
    """The targets of a file; BadInput when the format needs images, or has questions and no targets."""
    module = reader(format_name)
    if not hasattr(module, "targets"):
        raise BadInput(f"{format_name} has questions, not boxes: its zones cannot be audited; its shortcuts can")
    needs_images = getattr(module, "NEEDS_IMAGES", False)
    if needs_images and images is None:
        raise BadInput(f"{format_name} tells no sizes of images; give the folder of its images with --images")
    found: list[Target] = module.targets(file, images=images) if needs_images else module.targets(file)
    return found


def audit(
    file: Path, format_name: str, *, images: Path | None, answered: Path | None, frame: str | None
) -> tuple[DataSet, Floats | None]:
    """The data set and, where a file of predictions or answers is given, which rows are right (NaN: no answer)."""
    module = reader(format_name)
    if hasattr(module, "questions"):
        asked: list[Question] = module.questions(file)
        said = None if answered is None else answers(answered, asked)
        split = module.split_of(file) if hasattr(module, "split_of") else None
        notes = (f"the published split {split}",) if split else ()
        right = None if said is None else [np.nan if a is None else a == q.gold for a, q in zip(said, asked)]
        return of_questions(asked, notes=notes), None if right is None else np.array(right, dtype=np.float64)
    found = targets_of(file, format_name, images=images)
    if answered is None:
        return of_targets(found), None
    if frame is None:
        raise BadInput("--predictions needs --frame: pixels, 0..1 or 0..1000; it is never guessed")
    return of_targets(found), _right(found, answered, frame=frame)


def of_targets(found: Sequence[Target]) -> DataSet:
    """Boxes under the rules for boxes."""
    image_N = np.unique([t.image for t in found], return_inverse=True)[1].reshape(-1).astype(np.intp)
    mention_N = np.array([np.nan if t.mention is None else t.mention for t in found])
    box_N4 = np.array([t.box_xyxy for t in found], dtype=np.float64)
    return DataSet(
        ids=tuple(t.target_id for t in found),
        images=tuple(t.image for t in found),
        rows=tuple(t.row for t in found),
        guesses=tuple(_shortcuts.box_guesses(box_N4, image_N, mention_N)),
    )


def of_questions(asked: Sequence[Question], *, notes: tuple[str, ...] = ()) -> DataSet:
    """Questions under the rules for options."""
    image_N = np.unique([q.image for q in asked], return_inverse=True)[1].reshape(-1).astype(np.intp)
    guesses = _shortcuts.option_guesses(
        [q.options for q in asked],
        np.array([q.gold for q in asked]),
        image_N,
        [q.asked for q in asked],
        [q.kind for q in asked],
    )
    return DataSet(
        ids=tuple(q.question_id for q in asked),
        images=tuple(q.image for q in asked),
        rows=tuple(q.row for q in asked),
        guesses=tuple(guesses),
        notes=notes,
    )


def estimates(data: DataSet, right_N: Floats | None, *, rng: np.random.Generator) -> list[Estimate]:
    """What rules get, what a model is worth over the best, and how many rows a subset keeps where none is ahead."""
    out = _shortcuts.estimates(data.guesses, data.images, right_N=right_N, rng=rng)
    if not data.notes:
        return out
    return [*out, Estimate(metric="data_set", label=", ".join(data.notes), n=len(data.ids))]


def write_filtered(data: DataSet, path: Path, *, rng: np.random.Generator) -> int:
    """Writes the data set's own rows of a subset in which no rule beats a random pick, as JSONL; how many there are."""
    keep_N = _shortcuts.filtered(data.guesses, rng=rng)
    kept = [row for row, keep in zip(data.rows, keep_N, strict=True) if keep]
    path.write_text("".join(json.dumps(dict(row), allow_nan=False) + "\n" for row in kept), encoding="utf-8")
    return len(kept)


def write_rows(data: DataSet, path: Path) -> None:
    """Writes, for every row, which rules get it right for certain, as JSONL of id and rules."""
    lines = [
        json.dumps({"id": name, "right": [g.rule for g in data.guesses if g.right_N[k] == 1]})
        for k, name in enumerate(data.ids)
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _right(found: Sequence[Target], path: Path, *, frame: str) -> Floats:
    said = predictions(path, found, frame=frame)
    right = np.full(len(found), np.nan)
    for width, hit in ((2, _detection.within), (4, _overlaps)):
        rows = [k for k, p in enumerate(said) if p.found is not None and len(p.found) == width]
        if rows:
            given = np.array([said[k].found for k in rows], dtype=np.float64)
            right[rows] = hit(given, np.array([found[k].box_xyxy for k in rows], dtype=np.float64))
    return right


def _overlaps(given_N4: Floats, box_N4: Floats) -> Floats:
    return _detection.accuracy_at(_detection.iou(given_N4, box_N4), 0.5)
