"""Draws what is found at each placement, which has a name and no number: a row with a dot and its interval."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from vlbias.estimates import Estimate
from vlbias.reports import Report
from vlbias.reports._draw import Palette
from vlbias.reports._reading import number, title
from vlbias.reports._text import clean

METRICS = ("placement_accuracy", "placement_accuracy_change", "placement_prediction_change")
WIDTH_IN, ROW_IN, FRAME_IN = 5.4, 0.26, 0.6


def placements(report: Report) -> list[list[Estimate]]:
    """The estimates of every placement that has a value, a list for each metric that has any."""
    found = [[e for e in report.estimates if e.metric == name and e.value is not None] for name in METRICS]
    return [rows for rows in found if rows]


def placed_figure(rows: Sequence[Estimate], *, palette: Palette) -> Figure:
    """A row per placement: dot, interval, and in grey the range without an effect; a line at 0 where 0 is none."""
    figure = Figure(figsize=(WIDTH_IN, ROW_IN * len(rows) + FRAME_IN), layout="constrained")
    ax = figure.subplots()
    for k, e in enumerate(rows):
        if e.reference is not None:
            width = e.reference.high - e.reference.low
            ax.barh(k, width, left=e.reference.low, height=0.7, color=palette.shade, linewidth=0)
        if e.low is not None and e.high is not None:
            ax.plot([e.low, e.high], [k, k], color=palette.line, linewidth=5, alpha=0.28, solid_capstyle="butt")
        ax.plot([e.value or 0.0], [k], "o", color=palette.line, markersize=4)
    if any(e.reference is not None for e in rows):
        ax.axvline(0.0, color=palette.quiet, linewidth=0.8, zorder=0)
    names = [f"{clean(e.task, 40)}{' (baseline)' if 'the baseline' in e.notes else ''}" for e in rows]
    ax.set_yticks(range(len(rows)), names, fontsize=8.5, color=palette.ink, parse_math=False)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_xlabel("points", fontsize=9, color=palette.ink)
    ax.tick_params(colors=palette.quiet, labelsize=8.5, length=3)
    ax.tick_params(axis="y", labelcolor=palette.ink)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(palette.quiet)
    return figure


def spoken(rows: Sequence[Estimate]) -> str:
    """The figure for those who do not see it."""
    values = "; ".join(f"{clean(e.task, 40)}: {number(e.value, e.unit)}" for e in rows)
    return f"{title(rows[0].metric)}. {values}."
