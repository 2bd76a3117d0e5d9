"""The rows of a results folder: one checked line per outcome, read back from all shards as one list."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from pydantic import Field, TypeAdapter, ValidationError

from vlbias.answers import Answer, Failure, Outcome, Tally

ROWS_FILE = re.compile(r"rows-(\d+)of(\d+)\.jsonl")
LINE = re.compile(rb'\{"row":(.+?),"sha256":"([0-9a-f]{32})"\}')
HEAD, TAIL = b'{"row":', b',"sha256":"%032d"}' % 0
OUTCOME: TypeAdapter[Outcome] = TypeAdapter(Annotated[Answer | Failure | Tally, Field(discriminator="row")])
Key: TypeAlias = tuple[Any, ...]


@dataclass(frozen=True, kw_only=True)
class Damage:
    """Bytes of a rows file that are not a row: which line, why, and whether it is the unfinished last line."""

    line: int
    reason: str
    found: bytes
    torn: bool = False


@dataclass(frozen=True, kw_only=True)
class Scan:
    """What one rows file holds: its whole rows in order (bytes and record), and what is damaged.

    `tidy` is False when a whole row is not a line of its own (a damaged or missing line end).
    """

    lines: tuple[bytes, ...]
    outcomes: tuple[Outcome, ...]
    damage: tuple[Damage, ...]
    tidy: bool


@dataclass(frozen=True, kw_only=True)
class Reading:
    """All outcomes of a folder, one per trial, in a fixed order.

    `damaged` and `torn` count lines that stand in the rows files and cannot be read; `set_aside` counts lines that an
    earlier session moved to a `.damaged.jsonl` file. Their trials count as not done.
    """

    outcomes: tuple[Outcome, ...]
    damaged: int
    torn: int
    set_aside: int


def encode(value: Any) -> bytes:
    """One line: the canonical JSON of a record or mapping, with the first 32 hex digits of its sha256.

    Numbers that are not finite raise ValueError. Lone surrogates, which UTF-8 cannot hold, become U+FFFD.
    """
    text = json.dumps(plain(value), sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    try:
        payload = text.encode()
    except UnicodeEncodeError:
        payload = re.sub("[\ud800-\udfff]", "\ufffd", text).encode()
    return b'{"row":%b,"sha256":"%b"}\n' % (payload, _checksum(payload))


def payloads(line: bytes) -> list[bytes]:
    """The whole, undamaged JSON texts in a line; a lost line end may have joined two.

    The marks that stand around a row cannot occur inside it: JSON escapes the quotes of a text.
    """
    payload = line[len(HEAD) : -len(TAIL)]
    if line[-len(TAIL) :] == TAIL[:11] + _checksum(payload) + TAIL[-2:] and line.startswith(HEAD):
        return [payload]  # nearly every line; the search below is ten times slower
    return [m[1] for m in LINE.finditer(line) if _checksum(m[1]) == m[2]]


def decode(payload: bytes) -> Outcome:
    """The outcome in one JSON text; a text that is not one raises ValueError."""
    outcome = OUTCOME.validate_json(payload, strict=True)
    if isinstance(outcome, Answer) and outcome.logprobs and not all(map(math.isfinite, outcome.logprobs)):
        raise ValueError("a log-probability that is not finite")
    if isinstance(outcome, Answer) and not all(map(math.isfinite, _places(outcome))):
        raise ValueError("a place that is not finite")
    return outcome


def scan(data: bytes, *, keep_lines: bool = True) -> Scan:
    """Splits the bytes of a rows file into whole rows and damage; without `keep_lines`, `lines` stays empty."""
    lines: list[bytes] = []
    outcomes: list[Outcome] = []
    damage: list[Damage] = []
    tidy = True
    for number, (line, ended) in enumerate(_split(data), start=1):
        found = payloads(line)
        tidy = tidy and ended and len(found) == 1
        alone = len(found) == 1 and len(line) == len(HEAD) + len(found[0]) + len(TAIL)
        rest = b"" if alone else LINE.sub(lambda m: b"" if _checksum(m[1]) == m[2] else m[0], line)
        if rest or not found:
            damage.append(Damage(line=number, reason=_reason(line, ended=ended), found=rest, torn=not ended))
        for payload in found:
            try:
                outcomes.append(decode(payload))
            except (ValidationError, ValueError) as error:
                damage.append(Damage(line=number, reason=f"not an outcome: {_brief(error)}", found=line))
                continue
            if keep_lines:
                lines.append(b'{"row":%b,"sha256":"%b"}\n' % (payload, _checksum(payload)))
    return Scan(lines=tuple(lines), outcomes=tuple(outcomes), damage=tuple(damage), tidy=tidy)


def rows_files(folder: Path) -> list[Path]:
    """The rows files of a folder, by number of shards and then by shard."""
    found = {p: m for p in folder.iterdir() if (m := ROWS_FILE.fullmatch(p.name))}
    return sorted(found, key=lambda p: (int(found[p][2]), int(found[p][1])))


def read_rows(folder: Path) -> Reading:
    """Merges all shards: one outcome per trial, sorted, whatever the number of shards was.

    An answer beats a failure; otherwise the last one wins. Order: probe, slot (the probe alone last), trial.
    """
    best: dict[Key, Outcome] = {}
    damage: list[Damage] = []
    for path in rows_files(folder):
        found = scan(path.read_bytes(), keep_lines=False)
        damage += found.damage
        keep(best, found.outcomes)
    aside = sum(len(p.read_bytes().splitlines()) for p in folder.glob("rows-*.damaged.jsonl"))
    torn = sum(d.torn for d in damage)
    merged = tuple(sorted(best.values(), key=_order))
    return Reading(outcomes=merged, damaged=len(damage) - torn, torn=torn, set_aside=aside)


def keep(best: dict[Key, Outcome], outcomes: Iterable[Outcome]) -> None:
    """Adds outcomes to the best of each trial: an answer beats a failure, otherwise the last one wins."""
    for outcome in outcomes:
        key = _key(outcome)
        if not (isinstance(outcome, Failure) and isinstance(best.get(key), Answer)):
            best[key] = outcome


def plain(value: Any) -> Any:
    """A record as dicts, lists and scalars, as JSON has them."""
    if isinstance(value, (str, int, float, type(None))):
        return value
    if is_dataclass(value):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        return [plain(inner) for inner in value]
    raise TypeError(f"{type(value).__name__} {value!r} has no place in JSON")


def _key(outcome: Outcome) -> Key:
    if isinstance(outcome, Tally):
        return ("tally", outcome.task, outcome.slot, outcome.n_slots)
    return ("trial", outcome.asked.trial_id)


def _places(answer: Answer) -> Iterator[float]:
    yield from answer.box_xyxy or ()
    yield from answer.point_xy or ()
    for found in answer.detections or ():
        yield from (*found.box_xyxy, found.score)


def _order(outcome: Outcome) -> Key:
    if isinstance(outcome, Tally):
        return (outcome.task, outcome.slot is None, outcome.slot or 0, "", outcome.n_slots)
    asked = outcome.asked
    return (asked.probe_id, asked.slot is None, asked.slot or 0, asked.trial_id, asked.n_slots)


def _split(data: bytes) -> Iterator[tuple[bytes, bool]]:
    start = 0
    while (end := data.find(b"\n", start)) >= 0:
        yield data[start:end], True
        start = end + 1
    if start < len(data):
        yield data[start:], False


def _checksum(payload: bytes) -> bytes:
    return hashlib.sha256(payload).hexdigest()[:32].encode()


def _reason(line: bytes, *, ended: bool) -> str:
    if not ended:
        return "unfinished last line"
    return "its checksum does not match" if LINE.fullmatch(line) else "not a row with its checksum"


def _brief(error: ValueError) -> str:
    return str(error).replace("\n", " ")[:200]
