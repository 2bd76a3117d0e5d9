"""Writes the curves as PNG, PDF and SVG for papers."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from vlbias.reports import Report
from vlbias.reports import _views as views
from vlbias.reports._draw import PAPER, curve_figure, encoded, grid_figure
from vlbias.reports._text import save

KINDS = ("png", "pdf", "svg")
COLUMN_IN = (4.8, 2.9)


def write(report: Report, *, folder: Path) -> list[Path]:
    """Writes `figures/<curve>.{png,pdf,svg}` for every curve that has a value; slots are counted from 1."""
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
    if curves := views.per_task(report):
        found["accuracy_by_task"] = grid_figure(curves, palette=PAPER)
    return found
