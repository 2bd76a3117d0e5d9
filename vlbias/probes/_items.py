"""Reads and writes the suite's own item file: JSON lines, one probe per line, over clips in one folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field

from vlbias.errors import BadSuite
from vlbias.probes._choices import Strict
from vlbias.probes._contexts import Context, Given, surround
from vlbias.probes._item_faults import gold_faults, index_of, media_faults, plainly
from vlbias.probes._lines import Line, Text, lines
from vlbias.probes._paths import listed
from vlbias.probes._soundness import MOST_LABELS
from vlbias.records import Probe, Segment


class ItemsSource(Strict):
    """An item file and its folder of media, both relative to the suite's file.

    `background` and `duration_s` serve the contexts that need them: a film and its seconds, or a file of passages.
    """

    file: Text
    media: Text
    background: Text | None = None
    duration_s: Annotated[float, Field(gt=0)] | None = None


class Clip(Strict):
    """A file of the media folder, with the sha256 of its bytes."""

    path: Text
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Item(Line):
    """One line. `gold` is the right option's index from 0, or its text; null when the question is open-ended."""

    task: Text
    question: Text
    options: tuple[Text, ...]
    gold: int | str | None
    evidence: Clip
    backgrounds: tuple[Clip, ...] = ()
    cluster_id: Text


def read(path: Path, *, media: Path, segments: int, context: Context, given: Given) -> list[Probe]:
    """The probes of an item file. All bad lines are named in one error, the first 20 in full."""
    if not media.is_dir():
        raise BadSuite(f"{media}: the folder of media is missing; put it there or set source.items.media to its path")
    problems: list[str] = []
    probes: list[Probe] = []
    hashes: dict[str, str] = {}
    for number, item in lines(path, Item, problems=problems):
        where = f"{path}:{number}"
        faults = _faults(item, media=media, hashes=hashes)
        problems += [f"{where}: {fault}" for fault in faults]
        if not faults:
            try:
                clips = [_segment(clip, media=media) for clip in item.backgrounds]
                around = surround(context, clips, n=segments - 1, index=number - 1, given=given, where=where)
                probes.append(_probe(item, media=media, backgrounds=around))
            except BadSuite as bad:
                problems.append(str(bad))
    if problems:
        raise BadSuite(listed(problems))
    if not probes:
        raise BadSuite(f"{path}: there is no item; write one probe per line")
    return probes


def write(probes: Sequence[Probe], path: Path, *, media: Path) -> None:
    """Write probes over clips in `media` as an item file; each clip needs its path and its sha256."""
    written = []
    for probe in probes:
        row = {
            "probe_id": probe.probe_id,
            "task": probe.task,
            "question": probe.question,
            "options": list(probe.options),
            "gold": probe.gold,
            "evidence": _row(probe.evidence, media=media),
            "backgrounds": [_row(segment, media=media) for segment in probe.backgrounds],
            "cluster_id": probe.cluster_id,
        }
        written.append(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
    path.write_bytes("".join(written).encode())


def _faults(item: Item, *, media: Path, hashes: dict[str, str]) -> list[str]:
    faults = []
    if len(set(map(plainly, item.options))) != len(item.options):
        known = ", ".join(repr(option) for option in item.options)
        faults.append(f"options: found one twice among {known}; make them differ")
    if item.gold is not None and not 2 <= len(item.options) <= MOST_LABELS:
        found = len(item.options)
        faults.append(f"options: found {found}; give 2 to {MOST_LABELS}, or gold null for an open-ended question")
    else:
        faults += gold_faults(item.gold, item.options)
    faults += media_faults((item.evidence, *item.backgrounds), media=media, hashes=hashes)
    if any(clip.sha256 == item.evidence.sha256 or clip.path == item.evidence.path for clip in item.backgrounds):
        faults.append(f"backgrounds: {item.evidence.path!r} is the evidence itself; take another clip")
    return faults


def _segment(clip: Clip, *, media: Path) -> Segment:
    return Segment(segment_id=clip.path, path=str(media / clip.path), sha256=clip.sha256)


def _probe(item: Item, *, media: Path, backgrounds: tuple[Segment, ...]) -> Probe:
    return Probe(
        probe_id=item.probe_id,
        task=item.task,
        question=item.question,
        options=item.options,
        gold=index_of(item.gold, item.options),
        evidence=_segment(item.evidence, media=media),
        backgrounds=backgrounds,
        cluster_id=item.cluster_id,
    )


def _row(segment: Segment, *, media: Path) -> dict[str, str]:
    if segment.path is None or segment.sha256 is None:
        raise BadSuite(f"segment {segment.segment_id}: an item needs a file and its sha256; freeze the suite first")
    return {"path": Path(segment.path).relative_to(media).as_posix(), "sha256": segment.sha256}
