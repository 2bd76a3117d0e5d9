"""What can be named on the command line, with one line about each; imports no torch."""

from __future__ import annotations

import ast
from importlib.util import find_spec
from pathlib import Path

from vlbias import rooms
from vlbias.errors import UnknownName
from vlbias.plan import group_names, suite_names

ROOMS = {"models": "", "metrics": "", "debias": "", "formats": "", "probes": "", "reports": "", "decoders": "decode_"}


def names(what: str) -> list[tuple[str, str]]:
    """(name, one line) of every suite, or of every file of a room."""
    if what == "tasks":
        return [(name, _described(path)) for name, path in sorted({**suite_names(), **group_names()}.items())]
    if what not in ROOMS:
        raise UnknownName(what="list", name=what, known=["tasks", *ROOMS])
    room, prefix = ("videos", "decode_") if what == "decoders" else (what, ROOMS[what])
    return [(name, _first_line(room, prefix + name)) for name in rooms.names(room, prefix=prefix)]


def _described(path: Path) -> str:
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("description:"):
            return line.removeprefix("description:").strip().strip("\"'>|").strip()
    return ""


def _first_line(room: str, name: str) -> str:
    """The first line of a file's docstring, read without importing the file."""
    spec = find_spec(f"vlbias.{room}")
    places = [Path(p) / f"{name}.py" for p in (spec.submodule_search_locations or [])] if spec else []
    for path in places:
        if path.is_file():
            text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            return text.splitlines()[0] if text else ""
    return ""
