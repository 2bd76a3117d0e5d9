"""Numbers with two coordinates as a heat map: a cell per number, its interval under it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from vlbias.estimates import Estimate
from vlbias.reports import Report
from vlbias.reports._draw import PAGE, Palette, inline_svg
from vlbias.reports._reading import number, title
from vlbias.reports._spatial import OF_LUCK
from vlbias.reports._text import clean

Grid: TypeAlias = Sequence[Sequence[float | None]]
CELL_IN = 0.52
MARGIN_IN = (1.15, 0.95)
MOST_WORDED = 12
AXES = {"preference_index_pair": ("slot of the one nearer to the head", "slot of the one nearer to the question")}
CELLS = ("spatial_", "canvas_", "detection_", "needle_")
FAINTEST, STRONGEST = 0.05, 0.55


@dataclass(frozen=True, kw_only=True)
class Map:
    """A number per cell: `values_RC` with the bounds of its intervals, None where there is none.

    `beside` are the values of the map that this one is to be compared with, so that both have one scale of colours.
    """

    title: str
    unit: str
    task: str
    metric: str
    values_RC: Grid
    low_RC: Grid
    high_RC: Grid
    beside: tuple[float, ...] = ()
    row_label: str = "first coordinate"
    column_label: str = "second coordinate"


def maps(report: Report) -> list[Map]:
    """A map for each metric and task whose estimates carry a cell of two coordinates, counted from 1 when shown."""
    groups: dict[tuple[str, str, str], list[Estimate]] = {}
    for e in report.estimates:
        if mapped(e):
            groups.setdefault((e.metric, e.task, e.unit), []).append(e)
    return [
        replace(of_cells(*key, found), beside=_values(groups.get((key[0].removesuffix(OF_LUCK), *key[1:]), [])))
        for key, found in groups.items()
    ]


def _values(found: Sequence[Estimate]) -> tuple[float, ...]:
    return tuple(e.value for e in found if e.value is not None)


def mapped(estimate: Estimate) -> bool:
    """Whether a map shows this estimate."""
    return estimate.cell is not None and len(estimate.cell) == 2 and estimate.value is not None


def of_cells(metric: str, task: str, unit: str, found: Sequence[Estimate]) -> Map:
    """The map of estimates that carry cells; a cell without one is empty."""
    at = {e.cell: e for e in found}
    rows, columns = (1 + max(e.cell[k] for e in found if e.cell) for k in (0, 1))
    grids: dict[str, Grid] = {
        name: [[getattr(at.get((r, c)), name, None) for c in range(columns)] for r in range(rows)]
        for name in ("value", "low", "high")
    }
    said = title(metric) if task == "all" else f"{title(metric)}, {task}"
    plain = Map(
        title=clean(said, 90),
        unit=clean(unit, 20),
        task=task,
        metric=metric,
        values_RC=grids["value"],
        low_RC=grids["low"],
        high_RC=grids["high"],
    )
    named = [note.removeprefix("axes: ").split(" x ") for e in found for note in e.notes if note.startswith("axes: ")]
    cells = ("row", "column") if metric.startswith(CELLS) else ()
    labels = named[0] if named else AXES.get(metric, cells)
    if len(labels) == 2:
        return replace(plain, row_label=clean(labels[0], 40), column_label=clean(labels[1], 40))
    return plain


def heatmap(drawn: Map, *, name: str) -> str:
    """The map as an SVG element of a page, in the page's colours; `name` keeps its ids apart from others."""
    rows = "; ".join(
        f"row {r + 1}: {', '.join(number(v, drawn.unit) for v in row)}" for r, row in enumerate(drawn.values_RC)
    )
    return inline_svg(figure(drawn, palette=PAGE), name=name, label=f"{drawn.title}. {rows}.")


def figure(drawn: Map, *, palette: Palette) -> Figure:
    """The map: stronger colour is more; where values have both signs, one colour for each sign."""
    rows, columns = len(drawn.values_RC), len(drawn.values_RC[0])
    size_in = (columns * CELL_IN + MARGIN_IN[0], rows * CELL_IN + MARGIN_IN[1])
    page = Figure(figsize=size_in, layout="constrained")
    ax = page.subplots()
    known = [*drawn.beside, *(v for row in drawn.values_RC for v in row if v is not None)]
    for r, row in enumerate(drawn.values_RC):
        for c, value in enumerate(row):
            _cell(ax, drawn, (r, c), value, known, palette)
    ax.set_xlim(0, columns)
    ax.set_ylim(rows, 0)
    ax.set_aspect("equal")
    ax.set_xticks([c + 0.5 for c in range(columns)], [str(c + 1) for c in range(columns)])
    ax.set_yticks([r + 0.5 for r in range(rows)], [str(r + 1) for r in range(rows)])
    ax.tick_params(colors=palette.quiet, labelsize=8.5, length=0)
    ax.spines[:].set_visible(False)
    ax.set_xlabel(drawn.column_label, fontsize=9, color=palette.ink, parse_math=False)
    ax.set_ylabel(drawn.row_label, fontsize=9, color=palette.ink, parse_math=False)
    return page


def _cell(
    ax: Axes, drawn: Map, at: tuple[int, int], value: float | None, known: Sequence[float], palette: Palette
) -> None:
    r, c = at
    if value is None:
        ax.text(c + 0.5, r + 0.5, "–", ha="center", va="center", fontsize=8, color=palette.quiet)
        return
    colour = palette.alone if value < 0 else palette.line
    box = Rectangle((c, r), 1, 1, facecolor=colour, alpha=strength(value, known), edgecolor="none")
    ax.add_patch(box)
    if max(len(drawn.values_RC), len(drawn.values_RC[0])) > MOST_WORDED:
        return
    low, high = drawn.low_RC[r][c], drawn.high_RC[r][c]
    bounded = low is not None and high is not None
    said = number(value, drawn.unit)
    ax.text(c + 0.5, r + (0.4 if bounded else 0.5), said, ha="center", va="center", fontsize=8, color=palette.ink)
    if bounded:
        both = f"{number(low, drawn.unit)} to {number(high, drawn.unit)}"
        ax.text(c + 0.5, r + 0.74, both, ha="center", va="center", fontsize=4.5, color=palette.ink)


def strength(value: float, known: Sequence[float]) -> float:
    """How strong a cell's colour is, from 0.05 to 0.55: from 0 where signs differ, else from the least value."""
    if min(known) < 0:
        share = abs(value) / max(abs(v) for v in known)
    else:
        spread = max(known) - min(known)
        share = (value - min(known)) / spread if spread else 0.5
    return FAINTEST + (STRONGEST - FAINTEST) * share
