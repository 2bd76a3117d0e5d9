"""Where a suite's files are: paths start at the suite's folder or at VLBIAS_DATA_DIR, and media stay in one folder."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from vlbias.errors import BadSuite

DATA_DIR = "${VLBIAS_DATA_DIR}"


def place(text: str, *, folder: Path, environment: Mapping[str, str], remedy: str) -> Path:
    """The path that `text` names: relative ones start at `folder`; ${VLBIAS_DATA_DIR} may stand at the front."""
    if "\0" in text or not text.strip():
        raise BadSuite(f"{folder}: found the path {text!r}; {remedy}")
    if text.startswith(DATA_DIR):
        root = environment.get("VLBIAS_DATA_DIR")
        if not root:
            raise BadSuite(f"{text}: the environment variable VLBIAS_DATA_DIR is not set; {remedy}")
        return Path(root) / text.removeprefix(DATA_DIR).lstrip("/")
    return folder / text


def inside(media: Path, name: str) -> Path | str:
    """The file `name` in the folder `media`; or, as a text, why it is none. Links must not lead out of the folder."""
    odd = "\0" in name or "\\" in name or re.match(r"^[A-Za-z]:", name) or "%2e" in name.lower()
    if odd or PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
        return f"the path {name!r} leaves the folder of media; give a plain path below {media}"
    path = media / name
    try:
        found = path.resolve()
        if not found.is_relative_to(media.resolve()):
            return f"the path {name!r} is a link out of the folder of media; put the file itself below {media}"
        if not found.is_file():
            return f"the file {path} is missing; put it there"
        if found.stat().st_size == 0:
            return f"the file {path} is empty; copy it again"
    except (OSError, RuntimeError) as broken:
        return f"the file {path} cannot be read ({broken}); give a readable file"
    return path


def listed(problems: list[str], *, most: int = 20) -> str:
    """Problems as one message of at most `most` lines, and how many more there are."""
    more = [f"... and {len(problems) - most} more"] if len(problems) > most else []
    return "\n".join(problems[:most] + more)
