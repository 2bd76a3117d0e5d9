"""Draws a curve over slots with characters, for terminals and text files."""

from __future__ import annotations

import math
from collections.abc import Sequence

from vlbias.estimates import Estimate

MARGIN = 7
HEIGHT = 12


def plot(points: Sequence[Estimate], *, width: int, ascii_only: bool, alone: Estimate | None = None) -> str:
    """The curve in points: a dot per slot, a bar for its interval, shade for the no-effect band, a dashed line alone.

    Where more slots than columns stand, every k-th slot is drawn and the caption says so.
    """
    room = max(width - MARGIN - 1, 4)
    step = math.ceil(len(points) / room)
    shown = list(points[::step])
    column = max(1, min(7, room // len(shown)))
    low, high = _limits(points, alone)
    dot, bar, band, dash, axis = ("o", "|", ".", "-", "|") if ascii_only else ("●", "│", "░", "╌", "┤")
    grid = [[" "] * (column * len(shown)) for _ in range(HEIGHT)]

    def row(value: float) -> int:
        return HEIGHT - 1 - round((value - low) / (high - low) * (HEIGHT - 1))

    if alone is not None and alone.value is not None:
        grid[row(alone.value)] = [dash] * len(grid[0])
    for k, e in enumerate(shown):
        left, middle = k * column, k * column + column // 2
        if e.reference is not None:
            for y in range(row(e.reference.high), row(e.reference.low) + 1):
                grid[y][left : left + column] = [band] * column
        if e.low is not None and e.high is not None:
            for y in range(row(e.high), row(e.low) + 1):
                grid[y][middle] = bar
        if e.value is not None:
            grid[row(e.value)][middle] = dot
    lines = []
    for y, cells in enumerate(grid):
        value = high - (high - low) * y / (HEIGHT - 1)
        named = f"{value:5.0f} " if y % 3 == 0 or y == HEIGHT - 1 else " " * 6
        lines.append(f"{named}{axis}{''.join(cells)}".rstrip())
    return "\n".join([*lines, *_feet(shown, column, step, ascii_only=ascii_only, alone=alone)])


def _limits(points: Sequence[Estimate], alone: Estimate | None) -> tuple[float, float]:
    found = [v for e in points for v in (e.value, e.low, e.high) if v is not None]
    found += [v for e in points if e.reference for v in (e.reference.low, e.reference.high)]
    found += [alone.value] if alone is not None and alone.value is not None else []
    low, high = min(found, default=0.0), max(found, default=100.0)
    return 5 * math.floor(low / 5), max(5 * math.ceil(high / 5), 5 * math.floor(low / 5) + 5)


def _feet(shown: Sequence[Estimate], column: int, step: int, *, ascii_only: bool, alone: Estimate | None) -> list[str]:
    labels = [" "] * (column * len(shown) + 4)
    end = 0
    for k, e in enumerate(shown):
        name = str((e.slot or 0) + 1)
        at = max(0, k * column + (column - len(name) + 1) // 2)
        if at >= end:
            labels[at : at + len(name)] = name
            end = at + len(name) + 1
    span = column * len(shown)
    ends = "head" + "neighbour".rjust(span - 4) if span >= 14 else "head ... neighbour"
    band, dash = (".", "-") if ascii_only else ("░", "╌")
    key = ["accuracy by slot, points"]
    key += [f"{band} no effect of position"] if any(e.reference is not None for e in shown) else []
    key += [f"{dash} probe alone"] if alone is not None and alone.value is not None else []
    key += [f"every {step}th slot is drawn"] if step > 1 else []
    lines = ["; ".join(key)] if len("; ".join(key)) <= max(span, 40) else key
    return [" " * MARGIN + line for line in ("".join(labels).rstrip(), ends, *lines)]
