"""What surrounds the evidence besides clips: cuts of one film, passages of text, a mix, or template frames."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vlbias.errors import BadSuite
from vlbias.records import Scene, Segment

Context = Literal["multi", "short", "long", "text", "interleaved", "template"]


@dataclass(frozen=True, kw_only=True)
class Given:
    """A suite's own background: one film with its length, or lists of passages."""

    film: Path | None = None
    film_s: float | None = None
    passages: tuple[tuple[str, ...], ...] = ()


def surround(
    context: Context, clips: Sequence[Segment], *, n: int, index: int, given: Given, where: str
) -> tuple[Segment, ...]:
    """The `n` segments around the evidence of the item that stands at `index` of its file, counted from 0.

    As in Video-LevelGauge: item `index` reads the passages of list `index % len`, the first `n`; an interleaved
    context takes the passage at a place when the place's draw of `random.Random(index)` is below 0.5, else the clip.
    """
    if context == "template":
        return tuple(Segment(segment_id=f"template-{k:02d}", kind="template") for k in range(n))
    if context in ("short", "long"):
        if given.film is None or given.film_s is None:
            raise BadSuite(
                f"{where}: a {context} context needs the keys background (a film) and duration_s (its seconds)"
            )
        return cuts(str(given.film), name=given.film.name, n=n, film_s=given.film_s)
    if context in ("multi", "interleaved") and len(clips) < n:
        raise BadSuite(
            f"{where}: found {len(clips)} backgrounds; {n + 1} segments need {n}: add some, or lower segments"
        )
    if context == "multi":
        return tuple(clips[:n])
    texts = passages(given.passages, n=n, index=index, where=where)
    if context == "text":
        return texts
    draws = random.Random(index)
    return tuple(text if draws.random() < 0.5 else clip for text, clip in zip(texts, clips[:n], strict=True))


def cuts(path: str | None, *, name: str, n: int, film_s: float, scenes: tuple[Scene, ...] = ()) -> tuple[Segment, ...]:
    """`n` consecutive equal cuts of a film of `film_s` seconds that stands in a file or is drawn from scenes."""
    return tuple(
        Segment(
            segment_id=f"{name}-{k:02d}-of-{n}",
            path=path,
            scenes=scenes,
            start_s=film_s * k / n,
            end_s=film_s * (k + 1) / n,
        )
        for k in range(n)
    )


def passages(lists: Sequence[Sequence[str]], *, n: int, index: int, where: str) -> tuple[Segment, ...]:
    """The first `n` passages of list `index % len(lists)`, as segments."""
    if not lists:
        raise BadSuite(f"{where}: a context with text needs the key background: a JSON file with lists of passages")
    number = index % len(lists)
    if len(lists[number]) < n:
        raise BadSuite(f"{where}: list {number} of passages has {len(lists[number])}; {n + 1} segments need {n}")
    return tuple(
        Segment(segment_id=f"passage-{number:03d}-{k:02d}", kind="text", text=text)
        for k, text in enumerate(lists[number][:n])
    )


def read_given(path: Path | None, *, context: Context, film_s: float | None) -> Given:
    """The background file of a suite, read as its context needs it."""
    if path is None:
        return Given()
    if not path.is_file():
        raise BadSuite(f"{path}: the background file is missing; put it there or set background to its path")
    if context in ("short", "long"):
        return Given(film=path, film_s=film_s)
    try:
        lists = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as bad:
        raise BadSuite(f"{path}: not JSON ({bad}); right is a list of lists of passages") from bad
    good = isinstance(lists, list) and lists and all(isinstance(one, list) and one for one in lists)
    if not good or not all(isinstance(text, str) and text.strip() for one in lists for text in one):
        raise BadSuite(f"{path}: right is a list of lists of passages, each a text that is not empty")
    return Given(passages=tuple(tuple(one) for one in lists))
