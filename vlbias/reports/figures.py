"""Writes the curves as PNG, PDF and SVG for papers."""

from __future__ import annotations

import re
from pathlib import Path

from matplotlib.figure import Figure

from vlbias.reports import Report, _maps
from vlbias.reports import _views as views
from vlbias.reports._draw import PAPER, curve_figure, encoded, grid_figure
from vlbias.reports._placed import placed_figure, placements
from vlbias.reports._text import save

KINDS = ("png", "pdf", "svg")
COLUMN_IN = (4.8, 2.9)
TASKS_PER_FIGURE = 24


def write(report: Report, *, folder: Path) -> list[Path]:
    """Writes `figures/<curve>.{png,pdf,svg}` for every curve and map that has a value; slots are counted from 1.

    24 tasks fill one `accuracy_by_task`; the next ones stand in `accuracy_by_task_2` and so on.
    """
    drawn = figures(report)
    return [
        save(folder / "figures" / f"{name}.{kind}", encoded(figure, kind))
        for name, figure in drawn.items()
        for kind in KINDS
    ]


def figures(report: Report) -> dict[str, Figure]:
    """The figures by name."""
    found: dict[str, Figure] = {}
    for name, curve in (("accuracy", views.accuracy(report)), ("gold_probability", views.gold(report))):
        if curve is not None:
            found[name] = curve_figure(curve, palette=PAPER, size_in=COLUMN_IN)
    curves = views.per_task(report)
    for first in range(0, len(curves), TASKS_PER_FIGURE):
        page = f"_{first // TASKS_PER_FIGURE + 1}" if first else ""
        found[f"accuracy_by_task{page}"] = grid_figure(curves[first : first + TASKS_PER_FIGURE], palette=PAPER)
    found |= {name: curve_figure(curve, palette=PAPER, size_in=COLUMN_IN) for name, curve in views.places(report)}
    found |= {rows[0].metric: placed_figure(rows, palette=PAPER) for rows in placements(report)}
    for k, drawn in enumerate(_maps.maps(report)):
        said = drawn.title if drawn.task == "all" else drawn.task
        found[f"map_{k + 1}_{_file_name(said)}"] = _maps.figure(drawn, palette=PAPER)
    return found


def _file_name(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_")[:40]
