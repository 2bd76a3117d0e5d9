"""Shows the maps of cells before and after methods: figures on one scale, a table of contrasts, rows for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from markupsafe import Markup

from vlbias.estimates import Change, Estimate, MapProof, Proof
from vlbias.reports._maps import Map, heatmap, of_cells
from vlbias.reports._reading import number
from vlbias.reports._spatial import SIDES
from vlbias.reports._text import clean

COLUMNS = ("method", "asked", "sides", "before [95 %]", "after [95 %]", "change [95 %]", "p, Holm", "most on fitting")
METHOD_PX, CELL_PX = 100, 50


@dataclass(frozen=True, kw_only=True)
class Shown:
    """The maps of one way of asking: `figures` are (caption, drawing, width in pixels), before first."""

    task: str
    figures: Sequence[tuple[str, Markup, int]]


def table(proof: Proof, *, leading: bool = False) -> list[tuple[str, ...]]:
    """The header and one line per method, way of asking and contrast; empty where nothing has cells.

    The contrast that was largest on the fitting items stands first; with `leading` it stands alone where there is one.
    """
    lines = [
        _line(method, one, side)
        for method, one in _each(proof)
        for side in sorted(one.changes, key=lambda side: side != one.planned)
        if side == one.planned or one.planned is None or not leading
    ]
    return [COLUMNS, *lines] if lines else []


def rows(proof: Proof) -> list[dict[str, Any]]:
    """Each contrast before, after and changed, `{name, value, low, high, goal, ok, p_adjusted, planned}`."""
    out = []
    for method, one in _each(proof):
        task = "".join(c if c.isalnum() else "_" for c in one.task)
        for side, change in one.changes.items():
            told = {"goal": None, "ok": True, "p_adjusted": change.p_adjusted, "planned": side == one.planned}
            for what, value, (low, high) in (
                ("before", change.before, change.before_interval),
                ("after", change.after, change.after_interval),
                ("change", change.change, change.change_interval),
            ):
                out.append({"name": f"{method}_{task}_{side}_{what}", "value": value, "low": low, "high": high, **told})
    return out


def notes(proof: Proof) -> list[str]:
    """What must be known to read the maps; empty where there are none."""
    first = next((one for _, one in _each(proof)), None)
    if first is None:
        return []
    cell = first.before[0]
    still = any(c.change_interval == (0.0, 0.0) for _, one in _each(proof) for c in one.changes.values())
    unmoved = "a change of 0.0 [0.0, 0.0]: no held-out item changed there, and their number bounds what that tells"
    return [
        *([unmoved] if still else []),
        f"maps: the same {cell.n} held-out items of {cell.clusters} clusters before and after, answered in every cell "
        "by vanilla and all methods; changes are paired, intervals from a bootstrap over clusters",
        "p, Holm: vanilla and method swapped within clusters, adjusted over methods and ways of asking, contrast by "
        "contrast; most on fitting: the contrast that was largest, beside what luck gives it, on other items",
    ]


def figures(proof: Proof) -> list[Shown]:
    """For each way of asking the map before and that of every method, in one scale of colours."""
    found: dict[str, list[tuple[str, MapProof]]] = {}
    for method, one in _each(proof):
        found.setdefault(one.task, []).append((method, one))
    return [_shown(k, task, maps) for k, (task, maps) in enumerate(found.items())]


def _shown(k: int, task: str, maps: Sequence[tuple[str, MapProof]]) -> Shown:
    cells = [maps[0][1].before, *(one.after for _, one in maps)]
    every = tuple(e.value for found in cells for e in found if e.value is not None)
    names = ["before", *(clean(method, 60) for method, _ in maps)]
    drawn = [_drawn(name, found, every) for name, found in zip(names, cells, strict=True)]
    width = METHOD_PX + CELL_PX * len(drawn[0].values_RC[0])
    return Shown(
        task=clean(task, 60),
        figures=[
            # The drawing is our own XML, in which matplotlib has escaped every foreign text.
            (name, Markup(heatmap(one, name=f"arm{k}-{n}")), width)  # noqa: S704
            for n, (name, one) in enumerate(zip(names, drawn, strict=True))
        ],
    )


def _drawn(name: str, cells: Sequence[Estimate], every: tuple[float, ...]) -> Map:
    found = of_cells(cells[0].metric, cells[0].task, cells[0].unit, cells)
    return replace(found, title=f"{name}: {found.title}", beside=every)


def _each(proof: Proof) -> Iterator[tuple[str, MapProof]]:
    for method in proof.methods:
        for one in method.maps:
            yield method.method, one


def _line(method: str, one: MapProof, side: str) -> tuple[str, ...]:
    change: Change = one.changes[side]
    first, other = SIDES[side]
    unit = one.before[0].unit
    return (
        clean(method, 60),
        clean(one.task, 60),
        f"{first} less {other}",
        _bounded(change.before, change.before_interval, unit),
        _bounded(change.after, change.after_interval, unit),
        _bounded(change.change, change.change_interval, unit),
        f"{change.p_adjusted:.3f}" if change.p_adjusted >= 0.001 else "< 0.001",
        "yes" if side == one.planned else "",
    )


def _bounded(value: float, interval: tuple[float, float], unit: str) -> str:
    low, high = (number(v, unit, signed=True) for v in interval)
    return f"{number(value, unit, signed=True)} [{low}, {high}]"
