"""The user's copies of VSR and What'sUp as questions about where things stand, with their images found and hashed."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PIL import Image

from vlbias.disk import sha256_of_file
from vlbias.errors import BadSuite
from vlbias.formats import vsr, whatsup
from vlbias.formats._questions import Question
from vlbias.probes._order_suites import REMEDY, FileSource
from vlbias.probes._paths import inside, listed, place
from vlbias.records import Picture, Scene

_BETWEEN = re.compile(r"_(left_of|right_of|on|under|in-front_of|behind)_")
_SIDE_PX = 1024  # a longer side is scaled down to this; both twins of a pair are treated alike


@dataclass(frozen=True, kw_only=True)
class Told:
    """A row with its image found: a statement with its truth, or captions of which the first is right.

    `group` joins images of the same things, whose relations differ, where the names of a data set's files tell them.
    """

    question: Question
    image: Path
    sha256: str
    size_wh_px: tuple[int, int]
    group: str

    def scene(self, *, mirror: bool = False) -> Scene:
        """The image, whole, as it is or mirrored; both go the same way to the model."""
        picture = Picture(path=str(self.image), sha256=self.sha256, box_xyxy=(0.0, 0.0, 1.0, 1.0), mirrored=mirror)
        return Scene(
            sprites=(), pictures=(picture,), backdrop_rgb=(0, 0, 0), texture="plain", duration_s=1.0, fps=1.0,
            size_wh_px=self.size_wh_px, seed=0,
        )  # fmt: skip


def read_rows(source: FileSource, format_name: Literal["vsr", "whatsup"], *, folder: Path) -> list[Told]:
    """The rows of a file. All rows whose image is not there are named in one error."""
    path, media = (
        place(text, folder=folder, environment=os.environ, remedy=REMEDY) for text in (source.file, source.media)
    )
    if not media.is_dir():
        raise BadSuite(f"{media}: the folder of images is missing; put it there or set media to its path")
    asked = vsr.questions(path) if format_name == "vsr" else whatsup.questions(path)
    problems, found = [], []
    for question in asked:
        file = inside(media, question.image)
        if isinstance(file, str):
            problems.append(f"{path}: row {question.question_id}: {file}")
        else:
            group = _BETWEEN.sub("_", file.stem) if format_name == "whatsup" else question.image
            found.append(
                Told(question=question, image=file, sha256=sha256_of_file(file), size_wh_px=_size(file), group=group)
            )
    if problems:
        raise BadSuite(listed(problems))
    return found


def _size(file: Path) -> tuple[int, int]:
    """The size of an image in whole, even sides of at most so many pixels."""
    try:
        with Image.open(file) as image:
            width, height = image.size
    except OSError as error:
        raise BadSuite(f"{file}: cannot be read as an image: {error}") from error
    scale = min(1.0, _SIDE_PX / max(width, height))
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)
