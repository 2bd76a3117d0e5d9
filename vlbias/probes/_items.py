"""Reads and writes the suite's own item file: JSON lines, one probe per line, over clips in one folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationError

from vlbias.errors import BadSuite
from vlbias.probes._choices import Strict
from vlbias.probes._contexts import Context, Given, surround
from vlbias.probes._paths import inside, listed, sha256_of
from vlbias.records import Probe, Segment

MAX_LINE_BYTES = 1_000_000


def _plain(text: str) -> str:
    if not text.strip():
        raise ValueError("the text is empty; write it")
    if any(ord(letter) < 32 and letter not in "\n\t" for letter in text):
        raise ValueError("the text has a NUL or another control character; drop it")
    return text


Text = Annotated[str, AfterValidator(_plain)]


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


class Item(Strict):
    """One line. `gold` is the right option's index from 0, or its text; null when the question is open-ended."""

    probe_id: Annotated[str, Field(pattern=r"^[^\s/\\\x00-\x1f]{1,200}$")]
    task: Text
    question: Text
    options: tuple[Text, ...]
    gold: int | str | None
    evidence: Clip
    backgrounds: tuple[Clip, ...] = ()
    cluster_id: Text


def read(path: Path, *, media: Path, segments: int, context: Context, given: Given) -> list[Probe]:
    """The probes of an item file. All bad lines are named in one error, the first 20 in full."""
    if not path.is_file():
        raise BadSuite(f"{path}: the item file is missing; put it there or set source.items.file to its path")
    if not media.is_dir():
        raise BadSuite(f"{media}: the folder of media is missing; put it there or set source.items.media to its path")
    problems: list[str] = []
    probes: list[Probe] = []
    hashes: dict[str, str] = {}
    first: dict[str, int] = {}
    for number, raw in enumerate(path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if not raw.strip():
            continue
        where = f"{path}:{number}"
        item = _item(raw, where=where, problems=problems)
        if item is None:
            continue
        if item.probe_id in first:
            problems.append(
                f"{where}: the probe_id {item.probe_id!r} stands in line {first[item.probe_id]} too; rename one"
            )
        first.setdefault(item.probe_id, number)
        faults = [*_faults(item), *_media_faults(item, media=media, hashes=hashes)]
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
    lines = []
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
        lines.append(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
    path.write_bytes("".join(lines).encode())


def _item(raw: bytes, *, where: str, problems: list[str]) -> Item | None:
    if len(raw) > MAX_LINE_BYTES:
        problems.append(f"{where}: {len(raw)} bytes in one line; a line has at most {MAX_LINE_BYTES}")
        return None
    try:
        text = raw.decode()
        json.dumps(json.loads(text, object_pairs_hook=_once), ensure_ascii=False).encode()
        return Item.model_validate_json(text)
    except UnicodeDecodeError as bad:
        problems.append(f"{where}: the byte 0x{raw[bad.start]:02x} is not UTF-8; save the file as UTF-8")
    except UnicodeEncodeError:
        problems.append(
            f"{where}: found half of a surrogate pair (\\ud800 to \\udfff); drop it or write the whole sign"
        )
    except ValidationError as bad:
        for fault in bad.errors():
            name = ".".join(str(part) for part in fault["loc"])
            remedy = f"; known keys: {', '.join(Item.model_fields)}" if fault["type"] == "extra_forbidden" else ""
            problems.append(f"{where}: {name + ': ' if name else ''}{fault['msg']}{remedy}")
    except (ValueError, RecursionError) as bad:
        problems.append(f"{where}: not a JSON object ({bad}); write one object per line")
    return None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _faults(item: Item) -> list[str]:
    faults = []
    known = ", ".join(repr(option) for option in item.options)
    if len(set(item.options)) != len(item.options):
        faults.append(f"options: found one twice among {known}; make them differ")
    if item.gold is None:
        return faults
    if not 2 <= len(item.options) <= 26:
        faults.append(f"options: found {len(item.options)}; give 2 to 26, or gold null for an open-ended question")
    elif isinstance(item.gold, str) and item.gold not in item.options:
        faults.append(f"gold: {item.gold!r} is not among the options {known}; give one of them or its index")
    elif isinstance(item.gold, int) and not 0 <= item.gold < len(item.options):
        faults.append(
            f"gold: {item.gold} is no index of {len(item.options)} options; give 0 to {len(item.options) - 1}"
        )
    return faults


def _media_faults(item: Item, *, media: Path, hashes: dict[str, str]) -> list[str]:
    faults = []
    for clip in (item.evidence, *item.backgrounds):
        found = inside(media, clip.path)
        if isinstance(found, str):
            faults.append(found)
            continue
        if clip.path not in hashes:
            hashes[clip.path] = sha256_of(found)
        if hashes[clip.path] != clip.sha256:
            faults.append(f"{found}: sha256 is {hashes[clip.path]}, the item says {clip.sha256}; restore the file")
    if any(clip.sha256 == item.evidence.sha256 or clip.path == item.evidence.path for clip in item.backgrounds):
        faults.append(f"backgrounds: {item.evidence.path!r} is the evidence itself; take another clip")
    return list(dict.fromkeys(faults))


def _segment(clip: Clip, *, media: Path) -> Segment:
    return Segment(segment_id=clip.path, path=str(media / clip.path), sha256=clip.sha256)


def _probe(item: Item, *, media: Path, backgrounds: tuple[Segment, ...]) -> Probe:
    return Probe(
        probe_id=item.probe_id,
        task=item.task,
        question=item.question,
        options=item.options,
        gold=item.options.index(item.gold) if isinstance(item.gold, str) else item.gold,
        evidence=_segment(item.evidence, media=media),
        backgrounds=backgrounds,
        cluster_id=item.cluster_id,
    )


def _row(segment: Segment, *, media: Path) -> dict[str, str]:
    if segment.path is None or segment.sha256 is None:
        raise BadSuite(f"segment {segment.segment_id}: an item needs a file and its sha256; freeze the suite first")
    return {"path": Path(segment.path).relative_to(media).as_posix(), "sha256": segment.sha256}
