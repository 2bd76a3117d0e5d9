"""Shows a report at the end of a run in the terminal: the verdict, the curve, the numbers, the files."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from vlbias.estimates import Estimate
from vlbias.reports import Report
from vlbias.reports._failed import failures, first_reasons, place_word
from vlbias.reports._plot import plot
from vlbias.reports._reading import (
    CONTRASTS,
    LEVELGAUGE,
    SPREAD,
    coordinates,
    curve,
    full_title,
    interval,
    known,
    levelgauge,
    missing,
    p_value,
    pick,
    reference,
    said,
    suite_name,
)
from vlbias.reports._text import clean, model_name, pathless, save
from vlbias.reports._verdict import paragraph

SHOWN = (
    "accuracy",
    "accuracy_alone",
    *(f"accuracy_{what}" for what in CONTRASTS),
    "accuracy_any_effect",
    *SPREAD,
    "failure_rate",
    "unparsed_rate",
    "attrition_test",
)
MOST_ROWS = 40


def render(report: Report, *, paths: Sequence[Path], console: Console, plain: bool | None = None) -> None:
    """Prints the report; `plain` (the default where the console is no terminal) draws with ASCII only."""
    ascii_only = (not console.is_terminal) if plain is None else plain
    name = f"{model_name(report.run.identity.name)} on {suite_name(report.run)}"
    console.print(Text(clean(name, 120), style="bold"))
    console.print(_safe(paragraph(report), ascii_only=ascii_only))
    console.print()
    points = curve(report, "accuracy")
    alone = pick(report, "accuracy_alone")
    if points:
        drawn = plot(points, width=min(console.width, 100), ascii_only=ascii_only, alone=alone)
        console.print(Text(drawn), no_wrap=True, overflow="crop")
        console.print()
    found = [e for metric in SHOWN if (e := pick(report, metric)) is not None]
    more = [] if points else of_orders(report)
    for rows in (known(more)[:MOST_ROWS], known(found)):  # what a run is about stands first
        if rows:
            console.print(_table(rows, ascii_only=ascii_only))
    left = len(known(more)) - MOST_ROWS
    if left > 0:
        console.print(f"{left} more estimates are in tables/estimates.csv")
    for line in (missing([*found, *more]), *_levelgauge(report)):
        if line:
            console.print(_safe(line, ascii_only=ascii_only))
    _failures(report, console, ascii_only=ascii_only)
    for path in paths:
        console.print(Text(clean(path)), soft_wrap=True)


def write(report: Report, *, folder: Path) -> list[Path]:
    """Writes the same as `report.txt`, 100 columns of plain ASCII drawing."""
    page = io.StringIO()
    render(report, paths=[], console=Console(file=page, width=100, color_system=None), plain=True)
    return [save(folder / "report.txt", page.getvalue())]


def of_orders(report: Report) -> list[Estimate]:
    """What a run that is no sweep over slots measured: each estimate over all tasks, or per task where only so.

    Cells of a map are left to the figures.
    """
    rows = [
        e for e in report.estimates if e.metric not in SHOWN and e.cell is None and not e.metric.startswith(LEVELGAUGE)
    ]
    whole = {e.metric for e in rows if e.task == "all"}
    return [e for e in rows if e.task == "all" or e.metric not in whole]


def _table(rows: Sequence[Estimate], *, ascii_only: bool) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("estimate")
    for head in ("value", "95 % interval", "no effect", "p", "n"):
        table.add_column(head, justify="right")
    for e in rows:
        bounds = interval(e).partition(":")[0] if e.low is None or e.high is None else interval(e)
        cells = (_name(e), said(e), bounds, reference(e), p_value(e), str(e.n))
        table.add_row(*(_safe(cell, ascii_only=ascii_only) for cell in cells))
    return table


def _name(e: Estimate) -> str:
    return ", ".join([full_title(e), *filter(None, [coordinates(e)])])


def _levelgauge(report: Report) -> list[str]:
    """The average over tasks on one line, as the paper prints it."""
    heads, rows = levelgauge(report)
    average = next((row for row in rows if row[0] == "average"), None)
    if average is None:
        return []
    return ["Video-LevelGauge, average: " + ", ".join(f"{h} {cell}" for h, cell in zip(heads[1:], average[1:]))]


def _failures(report: Report, console: Console, *, ascii_only: bool) -> None:
    rows = [row for row in failures(report) if row.failed]
    if not rows:
        return
    console.print()
    counts = ", ".join(f"{row.name}: {row.failed}/{row.asked}" for row in rows)
    console.print(Text(f"failures per {place_word(report)}  {counts}"))
    for kind, reason in first_reasons(report):
        console.print(_safe(f"  {kind}: {pathless(reason)}", ascii_only=ascii_only))


def _safe(text: str, *, ascii_only: bool) -> Text:
    line = clean(text)
    if ascii_only:
        line = line.replace("−", "-").replace("–", "-").replace("…", "...").replace("²", "^2")
    return Text(line)
