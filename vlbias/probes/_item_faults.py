"""What is wrong with one line of an item file: its right answer, its files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from vlbias.disk import sha256_of_file
from vlbias.probes._paths import inside


class Hashed(Protocol):
    """A file of the media folder and the sha256 of its bytes; both None where an item shows text."""

    @property
    def path(self) -> str | None:
        """Relative to the folder of media."""

    @property
    def sha256(self) -> str | None:
        """In hexadecimal."""


def gold_faults(gold: int | str | None, options: Sequence[str], *, name: str = "gold") -> list[str]:
    """A right answer that is no option: neither one of their texts nor an index from 0."""
    if isinstance(gold, str) and gold not in options:
        known = ", ".join(repr(option) for option in options)
        return [f"{name}: {gold!r} is not among the options {known}; give one of them or its index"]
    if isinstance(gold, int) and not 0 <= gold < len(options):
        return [f"{name}: {gold} is no index of {len(options)} options; give 0 to {len(options) - 1}"]
    return []


def plainly(option: str) -> str:
    """An option without what a reply need not repeat: its case, spaces around it and its full stop."""
    return option.strip(" .").casefold()


def index_of(gold: int | str | None, options: Sequence[str]) -> int | None:
    """The index of a right answer that has no fault."""
    return options.index(gold) if isinstance(gold, str) else gold


def media_faults(files: Iterable[Hashed], *, media: Path, hashes: dict[str, str]) -> list[str]:
    """Files that are missing, lead out of `media` or have other bytes; `hashes` keeps what was read, by path."""
    faults = []
    for file in files:
        if file.path is None:
            continue
        found = inside(media, file.path)
        if isinstance(found, str):
            faults.append(found)
            continue
        if file.path not in hashes:
            hashes[file.path] = sha256_of_file(found)
        if hashes[file.path] != file.sha256:
            faults.append(f"{found}: sha256 is {hashes[file.path]}, the item says {file.sha256}; restore the file")
    return list(dict.fromkeys(faults))
