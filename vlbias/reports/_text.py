"""Makes foreign text harmless and writes a file whole or not at all."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path

ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
PATH = re.compile(r"(?<![\w:/.\\])(?:~?/|[A-Za-z]:[\\/]|\\\\)(?=[^\s/])[^\s,;:'\"=<>|]*")
SNAPSHOT = re.compile(r"models--([^/\\]+?)--([^/\\]+)")


def clean(text: object, limit: int | None = None) -> str:
    """One line without escape sequences, control characters or direction overrides, cut at `limit` characters."""
    line = ANSI.sub("", str(text))
    kept = "".join(c if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Zl", "Zp") else " " for c in line)
    line = " ".join(kept.split())
    return line if limit is None or len(line) <= limit else line[: limit - 1] + "…"


def pathless(text: object) -> str:
    """A text in which a path of somebody's machine is told by its last part only.

    >>> pathless("vlbias run --config /data/me/x.yaml")
    'vlbias run --config …/x.yaml'
    """
    return PATH.sub(lambda found: "…/" + re.split(r"[/\\]", found[0].rstrip("/\\"))[-1], str(text))


def model_name(name: str) -> str:
    """A model's name fit for a public page: a Hub name stays, a folder is told by its last part only.

    >>> model_name("/data/me/models/Tiny-VL/")
    'Tiny-VL'
    >>> model_name("/cache/models--Org--Tiny-VL/snapshots/0f3a")
    'Org/Tiny-VL'
    """
    text = clean(name)
    if cached := SNAPSHOT.search(text):
        return f"{cached[1]}/{cached[2]}"
    parts = [p for p in re.split(r"[/\\]+", text) if p not in ("", ".", "..", "~")]
    foreign = text[:1] in "/\\.~" or "\\" in text or len(parts) > 2 or text[1:2] == ":"
    return (parts[-1] if foreign else "/".join(parts)) if parts else "unnamed model"


def save(path: Path, content: str | bytes) -> Path:
    """Writes the whole content beside `path`, then moves it there: an error leaves the old file as it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    raw = content if isinstance(content, bytes) else content.encode("utf-8", errors="replace")
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        draft.write_bytes(raw)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return path
