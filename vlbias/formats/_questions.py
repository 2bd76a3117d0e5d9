"""Questions with options of other people's data sets, and somebody's answers to them, joined by id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlbias.errors import BadInput
from vlbias.formats._predictions import rows_by_id


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question about an image: its `options`, the index `gold` of the right one, and its kind (a relation, a task).

    `row` is the data set's own row, so that a subset can be written as it was.
    """

    question_id: str
    image: str
    asked: str
    options: tuple[str, ...]
    gold: int
    kind: str
    row: Mapping[str, Any]


def answers(path: Path, questions: Sequence[Question]) -> list[int | None]:
    """Answers of JSON or JSONL rows `{"id": ..., "answer": ...}`: an option's index from 0, its text, or null for none.

    An answer to an unknown id, a second one, and one that is no option are errors. Questions without one have None.
    """
    known = {q.question_id: q for q in questions}
    made: dict[str, int | None] = {}
    for where, name, row in rows_by_id(path, known, what="answer to", of="question"):
        if "answer" not in row:
            raise BadInput(f"{where}: has no answer; give the option's index or text, or null")
        made[name] = _index(row["answer"], known[name].options, where=where)
    return [made.get(q.question_id) for q in questions]


def _index(answer: Any, options: Sequence[str], *, where: str) -> int | None:
    if answer is None:
        return None
    if isinstance(answer, int) and not isinstance(answer, bool) and 0 <= answer < len(options):
        return answer
    same = [k for k, option in enumerate(options) if str(answer).strip().lower() == option.strip().lower()]
    if len(same) != 1:
        raise BadInput(f"{where}: answer {answer!r} is none of the {len(options)} options, as {options[0]!r}")
    return same[0]
