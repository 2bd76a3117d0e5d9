"""Benchmarks: two things timed alternately in one process, reported as a ratio. One file is one `vlbias bench NAME`.

Contract of a file here: `NAMES`, the rows it can give, in order, and `rows(*, only, device, seed) -> Iterator[Row]`,
which yields the rows named in `only` (None: all) as they are done. A file whose model comes in several sizes has
`SHAPES` and takes `shape` as well. A row that cannot be had on `device` is not yielded; a missed goal is `ok=False`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Protocol

from vlbias.errors import UnknownName


@dataclass(frozen=True, kw_only=True)
class Row:
    """One figure. `low` and `high` span the rounds of a timing; `goal` reads as ">= 5" and is "" where there is none.

    `ok` tells whether the goal is met, None without a goal.
    """

    name: str
    value: float
    unit: str
    low: float | None = None
    high: float | None = None
    goal: str = ""
    ok: bool | None = None


class Bench(Protocol):
    """A file of this room."""

    NAMES: tuple[str, ...]

    def rows(self, *, only: Collection[str] | None, device: str, seed: int) -> Iterator[Row]:
        """The rows asked for, each as soon as it is done."""


def at_least(goal: float, row: Row) -> Row:
    """The row with the goal that its value is `goal` or more."""
    return _judged(row, f">= {goal:g}", row.value >= goal)


def at_most(goal: float, row: Row) -> Row:
    """The row with the goal that its value is `goal` or less."""
    return _judged(row, f"<= {goal:g}", row.value <= goal)


def chosen(only: Collection[str] | None, *, names: tuple[str, ...]) -> tuple[str, ...]:
    """The names asked for, in the file's own order; a name that is not among them is an UnknownName."""
    for name in only or ():
        if name not in names:
            raise UnknownName(what="row", name=name, known=names, where="--only")
    return names if only is None else tuple(name for name in names if name in only)


def _judged(row: Row, goal: str, ok: bool) -> Row:
    return Row(name=row.name, value=row.value, unit=row.unit, low=row.low, high=row.high, goal=goal, ok=ok)
