"""What'sUp's controlled images (arXiv 2310.19785): an image and its captions, of which the first is always right."""

from __future__ import annotations

import re
from pathlib import Path

from vlbias.errors import BadInput
from vlbias.formats._predictions import rows_of, text
from vlbias.formats._questions import Question

_RELATION = re.compile(r"\b(left of|right of|in front of|behind|under|below|above|on|top|bottom|left|right)\b")


def questions(path: Path) -> list[Question]:
    """The items of a file of `image_path` and `caption_options`; `kind` is the relation that the right caption tells.

    The right caption stands first in the data set, so whoever asks without shuffling bakes in a liking for the first
    option; the rule `first_option` shows it. The id is the row's number, from 1, unless it has one.
    """
    out = []
    for n, row in enumerate(rows_of(path), start=1):
        where = f"{path}: row {n}"
        options = row.get("caption_options")
        if not isinstance(options, list) or len(options) < 2 or not all(isinstance(o, str) and o for o in options):
            raise BadInput(f"{where}: caption_options is {options!r}; right are two or more texts")
        if len(set(options)) < len(options):
            raise BadInput(f"{where}: two captions are equal; keep one")
        relation = _RELATION.search(options[0].lower())
        out.append(
            Question(
                question_id=str(row.get("id", n)),
                image=text(row, "image_path", where=where),
                asked="",
                options=tuple(options),
                gold=0,
                kind=relation[0] if relation else "other",
                row=row,
            )
        )
    return out
