"""Shows a comparison of runs: in the terminal, as Markdown, as a one-file page and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vlbias.estimates import Comparison, Difference
from vlbias.reports._reading import interval, number, said, title
from vlbias.reports._text import clean, save
from vlbias.reports.tables import as_markdown, markdown_text

HEADS = ("Estimate", "First", "Second", "First value", "Second value", "Difference", "95 % interval", "p", "p adjusted")


def write(comparison: Comparison, *, folder: Path) -> list[Path]:
    """Writes `compare.{html,md,json}`."""
    text = json.dumps({"schema_version": 1, **asdict(comparison)}, indent=2, allow_nan=False, ensure_ascii=False)
    return [
        save(folder / "compare.html", page(comparison)),
        save(folder / "compare.md", markdown(comparison)),
        save(folder / "compare.json", text + "\n"),
    ]


def render(comparison: Comparison, *, console: Console) -> None:
    """Prints what was compared and a table of differences."""
    console.print(Text(summary(comparison)))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for k, head in enumerate(HEADS):
        table.add_column(head, justify="left" if k < 3 else "right")
    for row in difference_rows(comparison):
        table.add_row(*(Text(clean(cell)) for cell in row))
    console.print(table)


def markdown(comparison: Comparison) -> str:
    """The comparison as Markdown."""
    heads, rows = curve_rows(comparison)
    return "\n".join(
        [
            "## Comparison of runs\n",
            markdown_text(summary(comparison)) + "\n",
            as_markdown(HEADS, difference_rows(comparison)),
            f"{places(comparison)}.\n",
            as_markdown([markdown_text(h) for h in heads], rows),
        ]
    )


def page(comparison: Comparison) -> str:
    """The comparison as one page that loads nothing."""
    place = Environment(loader=PackageLoader("vlbias.reports", "."), autoescape=True, undefined=StrictUndefined)
    heads, rows = curve_rows(comparison)
    methods = sorted({d.estimate.interval for d in comparison.differences})
    return place.get_template("compare.html.jinja").render(
        runs=[clean(name, 80) for name in comparison.runs],
        summary=summary(comparison),
        heads=HEADS,
        differences=difference_rows(comparison),
        curve_heads=heads,
        curve=rows,
        places=places(comparison),
        methods=methods,
    )


def summary(comparison: Comparison) -> str:
    """What was compared, and on how much."""
    names = ", ".join(clean(name, 80) for name in comparison.runs)
    text = (
        f"{names}: paired over {comparison.n_probes} probes of {comparison.n_clusters} clusters that every run "
        f"answered in all {comparison.n_slots} slots."
    )
    named = sorted({clean(d.adjusted, 60) for d in comparison.differences if d.adjusted})
    return " ".join([text, *(f"{clean(note)}." for note in comparison.notes), *(f"P adjusted: {n}." for n in named)])


def difference_rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """One row per pair and metric; a difference is the first run less the second."""
    return [_row(d) for d in comparison.differences]


def places(comparison: Comparison) -> str:
    """What the slots of the curves are."""
    if comparison.grid_rc is None:
        return "Accuracy by slot, points; slot 1 is the head, the last slot is nearest the question"
    rows, columns = comparison.grid_rc
    return (
        f"Accuracy by cell of the image, points; slots are its {rows} x {columns} cells, row by row from the top left"
    )


def curve_rows(comparison: Comparison) -> tuple[Sequence[str], list[tuple[str, ...]]]:
    """Accuracy by slot, a column per run, slots counted from 1."""
    rows = [
        (str(slot + 1), *(number(curve[slot], "points") for curve in comparison.curves))
        for slot in range(comparison.n_slots)
    ]
    return ("Slot", *(clean(name, 80) for name in comparison.runs)), rows


def _row(d: Difference) -> tuple[str, ...]:
    e = d.estimate
    low, high = (number(v, e.unit, signed=True) for v in (e.low, e.high))
    values = (number(v, e.unit) for v in (d.first_value, d.second_value))
    span = interval(e) if e.low is None else f"{low} to {high}"
    change = said(e) if e.value is None else number(e.value, e.unit, signed=True)
    return (
        title(e.metric),
        clean(d.first, 60),
        clean(d.second, 60),
        *values,
        change,
        span,
        _p(d.p_value),
        _p(d.p_adjusted),
    )


def _p(p: float | None) -> str:
    return "–" if p is None else ("< 0.001" if p < 0.001 else f"{p:.3f}")
