"""Reads and writes Video-LevelGauge's accuracy folder: one NN-kk.json of counts per slot, NN-NN for the probe alone."""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vlbias.answers import Answer, Outcome, Tally, slots
from vlbias.errors import BadInput

TOTAL, AVERAGE = "Total examples", "Average accuracy"
KEYS = ("yes_count", "no_count", "accuracy")
CODE = re.compile(r"(\d{2,})-(\d{2,})")


def read(path: Path) -> list[Outcome]:
    """The counts of a folder, slots in order, the probe alone last; tasks in the order of the file.

    Raises BadInput for a file that is not of this form, for files of different NN, and for missing slots.
    """
    files = sorted(path.glob("*.json")) if path.is_dir() else []
    if not files:
        raise BadInput(f"{path}: no NN-kk.json files found; expected a folder such as 10-00.json ... 10-10.json")
    codes = {}
    for file in files:
        match = CODE.fullmatch(file.stem)
        if match is None:
            raise BadInput(f"{file}: the name is not a position code; expected NN-kk.json, such as 10-03.json")
        codes[file] = int(match[1]), int(match[2])
    sizes = sorted({n for n, _ in codes.values()})
    if len(sizes) > 1:
        raise BadInput(f"{path}: files of {' and '.join(map(str, sizes))} slots are mixed; keep one number per folder")
    n_slots, found = sizes[0], {k for _, k in codes.values()}
    missing = [f"{n_slots:02d}-{k:02d}.json" for k in range(n_slots) if k not in found]
    if missing:
        raise BadInput(f"{path}: slots are missing: {', '.join(missing)}")
    if max(found) > n_slots or n_slots == 0:
        raise BadInput(f"{path}: slot {max(found)} of {n_slots}; kk runs from 00 to NN")
    out: list[Outcome] = []
    for file in sorted(codes, key=lambda f: codes[f]):
        k = codes[file][1]
        out += _tallies(file, slot=None if k == n_slots else k, n_slots=n_slots)
    return out


def write(outcomes: Sequence[Outcome], *, folder: Path) -> list[Path]:
    """Writes one file per slot that has answers, and names them. Failures are not counted as wrong.

    Raises BadInput when nothing can be counted.
    """
    counts: dict[int, dict[str, list[int]]] = defaultdict(dict)
    for outcome in outcomes:
        cell = _count(outcome)
        if cell is not None:
            place = cell.n_slots if cell.slot is None else cell.slot
            pair = counts[place].setdefault(cell.task, [0, 0])
            pair[0] += cell.right
            pair[1] += cell.wrong
    if not counts:
        raise BadInput(f"{folder}: there is no answer with a gold option to count")
    n_slots = slots(outcomes)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for place in sorted(counts):
        target = folder / f"{n_slots:02d}-{place:02d}.json"
        target.write_text(json.dumps(_body(counts[place]), indent=4, allow_nan=False, ensure_ascii=False), "utf-8")
        paths.append(target)
    return paths


def _body(counts: dict[str, list[int]]) -> dict[str, Any]:
    tasks = {t: dict(zip(KEYS, (yes, no, yes / (yes + no)))) for t, (yes, no) in counts.items() if yes + no}
    accuracies = [row["accuracy"] for row in tasks.values()]
    total = sum(yes + no for yes, no in counts.values())
    return {**tasks, TOTAL: total, AVERAGE: sum(accuracies) / len(accuracies)}


def _count(outcome: Outcome) -> Tally | None:
    if isinstance(outcome, Tally):
        return outcome if outcome.right + outcome.wrong else None
    if not isinstance(outcome, Answer) or outcome.asked.gold is None or outcome.chosen is None:
        return None
    if outcome.asked.is_repeat:
        return None
    asked, right = outcome.asked, int(outcome.correct)
    return Tally(task=asked.task, slot=asked.slot, n_slots=asked.n_slots, right=right, wrong=1 - right)


def _tallies(file: Path, *, slot: int | None, n_slots: int) -> list[Tally]:
    try:
        body = json.loads(file.read_text("utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{file}: not JSON: {error}") from error
    if not isinstance(body, dict):
        raise BadInput(f"{file}: expected an object of tasks, found {type(body).__name__}")
    out = []
    for task, row in body.items():
        if task not in (TOTAL, AVERAGE):
            right, wrong = _pair(file, task, row)
            out.append(Tally(task=task, slot=slot, n_slots=n_slots, right=right, wrong=wrong))
    total = sum(t.right + t.wrong for t in out)
    if not out:
        raise BadInput(f"{file}: no task found")
    if TOTAL in body and body[TOTAL] != total:
        raise BadInput(f"{file}: {TOTAL!r} is {body[TOTAL]!r}, but the counts add up to {total}")
    return out


def _pair(file: Path, task: str, row: Any) -> tuple[int, int]:
    if not isinstance(row, dict):
        raise BadInput(f"{file}: {task!r}: expected an object with {', '.join(KEYS)}, found {row!r}")
    for key in KEYS[:2]:
        if type(row.get(key)) is not int or row[key] < 0:
            raise BadInput(f"{file}: {task!r}: {key} must be a whole number of 0 or more, found {row.get(key)!r}")
    right, wrong = row["yes_count"], row["no_count"]
    if right + wrong == 0:
        raise BadInput(f"{file}: {task!r}: both counts are 0")
    told = row.get("accuracy")
    if not isinstance(told, int | float) or not math.isclose(told, right / (right + wrong), abs_tol=1e-6):
        raise BadInput(f"{file}: {task!r}: accuracy is {told!r}, but {right} of {right + wrong} are right")
    return right, wrong
