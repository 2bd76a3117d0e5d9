"""Finds the file of a name: a room is a folder, and the file's name is the name in the config.

Third parties add to a room by an entry point of the group `vlbias.<room>`, whose value is a module.
"""

from __future__ import annotations

import importlib
import pkgutil
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from vlbias.errors import UnknownName

WORDS = {"debias": "correction"}  # what a room holds, where that is not the room's name without its s


def names(room: str, *, prefix: str = "") -> list[str]:
    """The names that a room holds, sorted; `prefix` keeps the files whose names begin with it and drops it."""
    found = {name.removeprefix(prefix) for name in _files(room) if name.startswith(prefix)}
    return sorted(found | set(_entry_points(room)))


def find(room: str, name: str, *, prefix: str = "") -> ModuleType:
    """The module that holds `name`; an unknown name is an error that tells the nearest known ones.

    Membership is checked first, so a real import error inside the file comes through as it is.
    """
    if prefix + name in _files(room):
        return importlib.import_module(f"vlbias.{room}.{prefix}{name}")
    # Read only where no file of our own has the name: it opens the record of every installed package.
    outside = _entry_points(room)
    if name in outside:
        return importlib.import_module(outside[name])
    raise UnknownName(what=WORDS.get(room, room.removesuffix("s")), name=name, known=names(room, prefix=prefix))


def data(folder: str) -> Path:
    """The folder of suites, clips or configs: beside the package in a clone, inside it in an installed wheel."""
    package = Path(__file__).parent
    carried, source = package / "data" / folder, package.parent / folder
    return carried if carried.is_dir() else source


def _files(room: str) -> list[str]:
    spec = find_spec(f"vlbias.{room}")
    places = list(spec.submodule_search_locations or []) if spec else []
    return [m.name for m in pkgutil.iter_modules(places) if not m.name.startswith("_") and not m.ispkg]


def _entry_points(room: str) -> dict[str, str]:
    return {point.name: point.value for point in metadata.entry_points(group=f"vlbias.{room}")}
