"""Formats: other people's files, in and out. One file, one format; the file's name is `--format`.

Contract of a file here: `read(path) -> list[Outcome]` for what can come in, `write(outcomes, *, folder) -> list[Path]`
for what can go out; a format that has only one way leaves the other function out. A data set of boxes has
`targets(path)` instead: what is to be found, for `vlbias audit`; with `NEEDS_IMAGES = True` it is
`targets(path, *, images)`, because sizes stand in the image files only. A data set of questions with options has
`questions(path)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from vlbias.answers import Outcome


class Format(Protocol):
    """A file of this room."""

    def read(self, path: Path) -> list[Outcome]:
        """The outcomes that stand in somebody else's file or folder."""

    def write(self, outcomes: Sequence[Outcome], *, folder: Path) -> list[Path]:
        """Writes the outcomes in somebody else's form and names the files."""
