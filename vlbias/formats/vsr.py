"""Visual Spatial Reasoning (arXiv 2205.00363): a caption about an image, true or false, as questions.

The published counts of some splits are not those of the files, so a file is known by its hash.
"""

from __future__ import annotations

from pathlib import Path

from vlbias.disk import sha256_of_file
from vlbias.errors import BadInput
from vlbias.formats._predictions import rows_of, text
from vlbias.formats._questions import Question

OPTIONS = ("false", "true")
SPLITS = {
    "8ffdc9aff1155f996bdb82f114409d9b9fa730fa93e78e9bae864698e3b985ac": ("raw", 12_809),
    "096251a50060c63b242e074697d835acd0e7d5c97eedaeeccf08301982f1252e": ("validated", 10_972),
    "8b725a8621f2d0f94745f1fefdcf3ff8a7eb96fd358676296ff9c9a4ff463c6e": ("random train", 7_680),
    "90de24b811597a913310d043758f1119a1ba9ebf1b1ca8f1e27c4907f01980d4": ("random dev", 1_097),
    "8ade82a0b93ac9dc1e53f6cf1f11e9d5536776a3715102b6b4d27d4f81d551cc": ("random test", 2_195),
    "62daf2c5d573667038f88feaf1d26a1154c892083a72d83ed5c7551666ed3066": ("zero-shot train", 3_489),
    "0abda42fe9333ab6a8671b32886738b5cfa6d37a8c277b56d8368c339c8dffce": ("zero-shot dev", 340),
    "914d9156723b912d8f794b179248af865a68c5f81c9d8e3a21d007778cacaad4": ("zero-shot test", 1_222),
}


def questions(path: Path) -> list[Question]:
    """The captions of a JSONL file; `kind` is the relation. The id is the row's number, from 1, unless it has one."""
    rows = rows_of(path)
    out = []
    for n, row in enumerate(rows, start=1):
        where = f"{path}: row {n}"
        label = row.get("label")
        if label not in (0, 1) or isinstance(label, bool):
            raise BadInput(f"{where}: label is {label!r}; right is 0 or 1")
        out.append(
            Question(
                question_id=str(row.get("id", n)),
                image=text(row, "image", where=where),
                asked=text(row, "caption", where=where),
                options=OPTIONS,
                gold=label,
                kind=text(row, "relation", where=where),
                row=row,
            )
        )
    return out


def split_of(path: Path) -> str | None:
    """Which published split the file is, byte by byte; None for another file."""
    name, n_rows = SPLITS.get(sha256_of_file(path), (None, 0))
    if name is not None and len(rows_of(path)) != n_rows:
        raise BadInput(f"{path}: has the hash of VSR's {name}, and not its {n_rows} rows")
    return name
