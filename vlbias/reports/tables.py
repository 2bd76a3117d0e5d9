"""Writes the estimates as CSV, Markdown and LaTeX tables."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path

from vlbias.estimates import Estimate
from vlbias.reports import Report
from vlbias.reports._reading import contrasts, curve, full_title, interval, of_order, p_value, pick, reference, said
from vlbias.reports._text import clean, save

COLUMNS = ("metric", "task", "slot", "value", "label", "unit", "low", "high", "confidence", "interval", "n", "clusters",
           "reference_mean", "reference_low", "reference_high", "p_value", "adjusted", "notes", "cell")  # fmt: skip
LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "−": "$-$", "–": "--",
         "²": "$^2$", "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
         **{c: "\\" + c for c in "&%$#_{}"}}  # fmt: skip
HEADS = ("Estimate", "Value", "95 % interval", "No effect", "p", "n")
Table = tuple[Sequence[str], Sequence[Sequence[str]]]


def write(report: Report, *, folder: Path) -> list[Path]:
    """Writes `tables/estimates.csv` (all of them) and `tables/{curve,summary}.{md,tex}`."""
    place = folder / "tables"
    files = [save(place / "estimates.csv", as_csv(report.estimates))]
    for name, (heads, rows) in {"curve": curve_table(report), "summary": summary_table(report)}.items():
        files.append(save(place / f"{name}.md", as_markdown(heads, rows)))
        files.append(save(place / f"{name}.tex", as_latex(heads, rows)))
    return files


def curve_table(report: Report) -> Table:
    """Accuracy per slot, slots counted from 1."""
    rows = [
        (str((e.slot or 0) + 1), said(e), interval(e), reference(e), p_value(e), str(e.n))
        for e in curve(report, "accuracy")
    ]
    return ("Slot", *HEADS[1:]), rows


def summary_table(report: Report) -> Table:
    """The numbers of a run that a paper prints."""
    names = ("accuracy", "accuracy_alone", "shape", "flip_rate", "accuracy_range", "accuracy_rms_effect")
    found = [e for name in names if (e := pick(report, name)) is not None]
    rows = [(full_title(e), said(e), interval(e), reference(e), p_value(e), str(e.n))
            for e in [*found, *contrasts(report), *of_order(report)]]  # fmt: skip
    return HEADS, rows


def as_csv(estimates: Sequence[Estimate]) -> str:
    """All estimates, numbers in full; a text that a spreadsheet would run as a formula begins with an apostrophe.

    Slots are 0-based here, as in the records.
    """
    page = io.StringIO()
    writer = csv.writer(page, lineterminator="\n")
    writer.writerow(COLUMNS)
    for e in estimates:
        r = e.reference
        none = (None, None, None, None) if r is None else (r.mean, r.low, r.high, r.p_value)
        row = (e.metric, e.task, e.slot, e.value, e.label, e.unit, e.low, e.high, e.confidence, e.interval, e.n,
               e.clusters, *none, e.adjusted, "; ".join(e.notes),
               None if e.cell is None else ",".join(map(str, e.cell)))  # fmt: skip
        writer.writerow([_inert(cell) if isinstance(cell, str) else cell for cell in row])
    return page.getvalue()


def as_markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table in which no cell can end its row, be a link or be a tag."""
    lines = [heads, ["---", *["--:"] * (len(heads) - 1)], *[[markdown_text(c) for c in row] for row in rows]]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def as_latex(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A LaTeX table for the booktabs package."""
    body = [" & ".join(latex_text(c) for c in row) + r" \\" for row in rows]
    head = " & ".join(latex_text(c) for c in heads) + r" \\"
    columns = "l" + "r" * (len(heads) - 1)
    lines = [
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        head,
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def markdown_text(text: str) -> str:
    """Text that Markdown shows as it is."""
    line = clean(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|#~$!])", r"\\\1", line)


def latex_text(text: str) -> str:
    """Text that LaTeX prints as it is."""
    return "".join(LATEX.get(c, c) for c in clean(text))


def _inert(text: str) -> str:
    line = clean(text)
    return f"'{line}" if line[:1] in ("=", "+", "-", "@") else line
