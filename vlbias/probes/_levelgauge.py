"""Reads Video-LevelGauge's JSON files as they are (arXiv 2508.19650), over the user's copy of its videos."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, ValidationError

from vlbias.errors import BadSuite
from vlbias.probes._choices import Strict
from vlbias.probes._contexts import Context, Given, surround
from vlbias.probes._paths import inside, listed
from vlbias.records import Probe, Segment

REMEDY = (
    "download the data set Cola-any/Video-LevelGauge from the Hugging Face hub (licence CC-BY-NC-SA-4.0), "
    "set VLBIAS_DATA_DIR to the folder that holds LevelGauge/json and LevelGauge/videos, "
    "or give the places with --task_args json=...,videos=..."
)


class LevelGaugeSource(Strict):
    """A JSON file of Video-LevelGauge and the folder of its videos.

    `background` is for the contexts short and long (a film, with its seconds in `duration_s`) and for text and
    interleaved (a JSON list of lists of passages).
    """

    model_config = ConfigDict(populate_by_name=True)
    json_: Annotated[str, Field(alias="json")]
    videos: str
    background: str | None = None
    duration_s: Annotated[float, Field(gt=0)] | None = None


class Entry(BaseModel):
    """One question of the file; keys that are not read here are let be."""

    model_config = ConfigDict(extra="allow")
    question_type: StrictStr
    video_name: StrictStr
    question_id: StrictInt | StrictStr
    question: StrictStr
    candidates: Annotated[tuple[StrictStr, ...], Field(min_length=2, max_length=26)]
    answer_number: Annotated[StrictInt, Field(ge=0)]


def read(path: Path, *, videos: Path, segments: int, context: Context, given: Given) -> list[Probe]:
    """The probes of a file of Video-LevelGauge; a cluster is one video.

    The probe's name is its `question_id`; where the file gives an id twice, `<video>.<question_id>`. The backgrounds
    are the keys of `<segments - 1>_background`, in order. The right option is `answer_number`, as in its own readers.
    """
    if not path.is_file() or not videos.is_dir():
        missing = path if not path.is_file() else videos
        raise BadSuite(f"{missing}: Video-LevelGauge's data are not there; {REMEDY}")
    rows = _rows(path)
    problems: list[str] = []
    entries = [(index, entry) for index, row in enumerate(rows) if (entry := _entry(row, path, index, problems))]
    ids = Counter(str(entry.question_id) for _, entry in entries)
    known: dict[str, Path | str] = {}
    probes = []
    for index, entry in entries:
        where = f"{path}: item {index}"
        key = str(entry.question_id)
        name = key if ids[key] == 1 else f"{Path(entry.video_name).stem}.{key}"
        names = _background_names(entry, n=segments - 1, context=context)
        problems += [f"{where}: {fault}" for fault in _faults(entry, names, videos=videos, known=known)]
        try:
            clips = [_segment(clip, videos=videos) for clip in names]
            around = surround(context, clips, n=segments - 1, index=index, given=given, where=where)
        except BadSuite as bad:
            problems.append(str(bad))
        else:
            probes.append((name, entry, around))
    twice = [name for name, n in Counter(name for name, _, _ in probes).items() if n > 1]
    problems += [f"{path}: the question {name!r} stands twice; rename one" for name in twice]
    if problems:
        raise BadSuite(listed(list(dict.fromkeys(problems))))
    return [_probe(name, entry, around, videos=videos) for name, entry, around in probes]


def _rows(path: Path) -> Sequence[Any]:
    try:
        rows = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as bad:
        raise BadSuite(f"{path}: not JSON ({bad}); {REMEDY}") from bad
    if not isinstance(rows, list) or not rows:
        raise BadSuite(f"{path}: right is a JSON list of questions; {REMEDY}")
    return rows


def _entry(row: Any, path: Path, index: int, problems: list[str]) -> Entry | None:
    try:
        entry = Entry.model_validate(row)
    except ValidationError as bad:
        for fault in bad.errors():
            name = ".".join(str(part) for part in fault["loc"])
            problems.append(f"{path}: item {index}: {name}: {fault['msg']}")
        return None
    if entry.answer_number >= len(entry.candidates):
        known = f"{len(entry.candidates)} candidates"
        problems.append(f"{path}: item {index}: answer_number: {entry.answer_number} is no index of {known}")
        return None
    return entry


def _background_names(entry: Entry, *, n: int, context: Context) -> list[str]:
    if context not in ("multi", "interleaved"):
        return []
    found = (entry.model_extra or {}).get(f"{n}_background")
    return [str(name) for name in found] if isinstance(found, dict | list) else []


def _faults(entry: Entry, names: Sequence[str], *, videos: Path, known: dict[str, Path | str]) -> list[str]:
    faults = []
    if len(set(entry.candidates)) != len(entry.candidates):
        faults.append(f"candidates: found one twice among {list(entry.candidates)}; make them differ")
    if entry.video_name in names:
        faults.append(f"background: {entry.video_name!r} is the evidence itself; take another clip")
    for name in (entry.video_name, *names):
        if name not in known:
            known[name] = inside(videos, name)
        found = known[name]
        if isinstance(found, str):
            faults.append(found)
    return faults


def _segment(name: str, *, videos: Path) -> Segment:
    return Segment(segment_id=name, path=str(videos / name))


def _probe(name: str, entry: Entry, around: tuple[Segment, ...], *, videos: Path) -> Probe:
    return Probe(
        probe_id=name,
        task=entry.question_type,
        question=entry.question,
        options=entry.candidates,
        gold=entry.answer_number,
        evidence=_segment(entry.video_name, videos=videos),
        backgrounds=around,
        cluster_id=Path(entry.video_name).stem,
    )
