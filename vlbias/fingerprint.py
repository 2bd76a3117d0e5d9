"""A model's position fingerprint: what several runs say of head, neighbour, conflict, options, images, places, judging.

runs of one model ─> the estimates of each panel ─> fingerprint.{json,svg,html,md}
"""

from __future__ import annotations

import html
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vlbias import lengths, scoring
from vlbias.errors import BadInput, NotARun
from vlbias.estimates import Estimate
from vlbias.lengths import Length
from vlbias.reports import _reading
from vlbias.reports._reading import interval, number, said
from vlbias.reports._text import model_name, pathless
from vlbias.reports.tables import as_markdown
from vlbias.store import read_run


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One small multiple: which estimate of which metric it shows; 0 stands for no effect, except where `positive`.

    `positive` marks a spread, which is above 0 without any effect: it is read against its reference alone.
    """

    name: str
    title: str
    measured_by: str
    metric: str
    slot: int | None = None
    whole: bool = True
    positive: bool = False


PANELS = (
    Panel(name="head", title="Head above the middle", measured_by="contrasts", metric="accuracy_head_minus_middle"),
    Panel(
        name="neighbour",
        title="Neighbour above the middle",
        measured_by="contrasts",
        metric="accuracy_neighbour_minus_middle",
    ),
    Panel(name="conflict", title="Believed: head less neighbour", measured_by="preference", metric="preference_index"),
    Panel(
        name="option", title="Recall's spread over labels", measured_by="options", metric="option_rstd", positive=True
    ),
    Panel(
        name="image",
        title="Accuracy's range over places of an image",
        measured_by="images",
        metric="image_accuracy_range",
        positive=True,
    ),
    Panel(
        name="placement",
        title="Accuracy against the baseline placement",
        measured_by="placement",
        metric="placement_accuracy_change",
        whole=False,
    ),
    Panel(
        name="judge",
        title="Verdicts for the first candidate above an even share",
        measured_by="judge",
        metric="judge_place_share",
        slot=0,
    ),
    Panel(
        name="fill",
        title="Context window filled",
        measured_by="fill",
        metric="context_fill",
        positive=True,
    ),
)

LENGTHS = "How the shape moves with length"
LENGTHS_WORDS = (
    "Accuracy by slot, in points, from the head to the neighbour of the question; contexts from short to long, the "
    "same questions. Differences are in points, with 95 % intervals."
)
HEADS = ("panel", "suite", "of", "value", "95 % interval", "no effect", "n")


@dataclass(frozen=True, kw_only=True)
class Mark:
    """One estimate of a panel, from one run."""

    panel: str
    suite: str
    model: str
    estimate: Estimate


@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """The marks of all panels, and the sweeps over length among the runs, each from short to long."""

    marks: tuple[Mark, ...]
    sweeps: tuple[tuple[Length, ...], ...]

    @property
    def is_empty(self) -> bool:
        """Whether nothing in it has a value."""
        return not self.sweeps and all(mark.estimate.value is None for mark in self.marks)


def fingerprint(root: Path) -> Fingerprint:
    """What all runs in `root` or in its folders say together, measured afresh from their rows.

    A panel without a run has no mark; an estimate without a value is kept, with its notes.
    """
    folders = runs(root)
    if not folders:
        raise BadInput(
            f"{root}: holds no run, and no folder of one; run `vlbias run --tasks all_order -o {root}` first"
        )
    order = [panel.name for panel in PANELS]
    marks = [mark for folder in folders for mark in _marks(folder)]
    return Fingerprint(
        marks=tuple(sorted(marks, key=lambda mark: order.index(mark.panel))),
        sweeps=tuple(tuple(sweep) for sweep in lengths.lengths(folders)),
    )


def runs(root: Path) -> list[Path]:
    """The results folders among `root` and the folders in it."""
    return [folder for folder in (root, *sorted(path for path in root.glob("*") if path.is_dir())) if _is_run(folder)]


def write(found: Fingerprint, *, folder: Path) -> list[Path]:
    """Writes fingerprint.json, .svg, .html and, for a model card, .md, a svg per sweep over length, and names them."""
    svg, sweeps = drawn(found.marks), [lengths.drawn(sweep).decode() for sweep in found.sweeps]
    rows = {"marks": [asdict(mark) for mark in found.marks], "lengths": [[asdict(o) for o in s] for s in found.sweeps]}
    texts = {
        "fingerprint.json": json.dumps(rows, indent=1, allow_nan=False) + "\n",
        "fingerprint.svg": svg,
        **{f"lengths-{k}.svg": text for k, text in enumerate(sweeps, start=1)},
        "fingerprint.html": page(found, svg, sweeps),
        "fingerprint.md": section(found),
    }
    paths = []
    for name, text in texts.items():
        path = folder / name
        partial = path.with_suffix(".partial")
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
        paths.append(path)
    return paths


def drawn(marks: Sequence[Mark]) -> str:
    """The panels that have a value as small multiples: dot, interval, and in grey the range without an effect."""
    shown = [panel for panel in PANELS if _of(marks, panel)]
    heights = [max(1, len(_of(marks, panel))) for panel in shown] or [1]
    figure = Figure(figsize=(7.0, 0.9 * max(1, len(shown)) + 0.24 * sum(heights)), layout="constrained")
    if shown:
        axes = figure.subplots(len(shown), 1, squeeze=False, height_ratios=[h + 1 for h in heights])[:, 0]
        for axis, panel in zip(axes, shown):
            _panel(axis, panel, _of(marks, panel))
    else:
        figure.text(0.5, 0.5, "no estimate has a value", ha="center")
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def page(found: Fingerprint, svg: str, sweeps: Sequence[str]) -> str:
    """One HTML file: the panels, curves by length, and every mark with its interval, its reference and its n."""
    models = ", ".join(sorted({mark.model for mark in found.marks} | {o.model for s in found.sweeps for o in s}))
    body = [svg[svg.index("<svg") :]] if not all(mark.estimate.value is None for mark in found.marks) else []
    for figure, sweep in zip(sweeps, found.sweeps, strict=True):
        body += [f"<h2>{LENGTHS}</h2><p>{LENGTHS_WORDS}</p>", figure[figure.index("<svg") :]]
        body.append(_html_table(lengths.HEADS, [lengths.cells(one) for one in sweep]))
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>Position fingerprint: {html.escape(models)}</title>"
        "<style>body{font:16px/1.5 system-ui;margin:auto;max-width:60rem;padding:1rem}svg{max-width:100%;height:auto;"
        "background:#fff}table{border-collapse:collapse;font-size:.85rem}td,th{padding:.2rem .6rem;text-align:left;"
        "border-bottom:1px solid #8884}div{overflow-x:auto}</style>"
        f"<h1>Position fingerprint of {html.escape(models)}</h1>"
        "<p>Dots are estimates with their 95 % intervals; the grey bands are what a model without the effect gives on "
        f"the same questions.</p>{''.join(body)}<h2>All numbers</h2>"
        f"{_html_table(HEADS, [_cells(mark) for mark in found.marks if mark.estimate.value is not None])}"
        f"{_unknown(found.marks)}</html>\n"
    )


def _unknown(marks: Sequence[Mark]) -> str:
    """What has no value, by reason."""
    by_reason: dict[str, dict[str, list[str]]] = {}
    for mark in marks:
        if mark.estimate.value is None:
            reason = pathless("; ".join(mark.estimate.notes) or "no reason was recorded")
            by_reason.setdefault(reason, {}).setdefault(mark.panel, []).append(_label(mark))
    if not by_reason:
        return ""
    told = {why: "; ".join(f"{p} in {', '.join(labels)}" for p, labels in of.items()) for why, of in by_reason.items()}
    items = "\n".join(f"<li>{html.escape(names)}: {html.escape(why)}</li>" for why, names in told.items())
    return f"<h2>Without a value</h2><ul>{items}</ul>"


def section(found: Fingerprint) -> str:
    """A section of a model card: the figures, which stand beside it, and a table of the marks that have a value."""
    known = [mark for mark in found.marks if mark.estimate.value is not None]
    without = len(found.marks) - len(known)
    left = f"\n{without} without a value: see fingerprint.html.\n" if without else ""
    text = (
        "## Position fingerprint\n\n![Position biases by panel](fingerprint.svg)\n\n"
        f"{as_markdown(HEADS, [_cells(mark) for mark in known])}{left}"
        "\nWithout the effect of a panel its value lies in the range under no effect.\n"
    )
    for k, sweep in enumerate(found.sweeps, start=1):
        table = as_markdown(lengths.HEADS, [lengths.cells(one) for one in sweep])
        text += f"\n### {LENGTHS}\n\n![Curves from short to long](lengths-{k}.svg)\n\n{table}\n{LENGTHS_WORDS}\n"
    return text


def _html_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    body = "\n".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<div><table><tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr>\n{body}\n</table></div>"


def _is_run(folder: Path) -> bool:
    try:
        read_run(folder)
    except NotARun:
        return False
    return True


def _marks(folder: Path) -> list[Mark]:
    run = read_run(folder)
    kind = run.suite.get("kind")
    own = {*scoring.of_kind(kind), *(["options"] if run.config.get("option_orders") is not None else [])}
    wanted = [panel for panel in PANELS if panel.measured_by in own]
    if not wanted:
        return []
    found = scoring.report(folder, metrics=list(dict.fromkeys(panel.measured_by for panel in wanted))).estimates
    return [
        Mark(panel=panel.name, suite=str(run.suite.get("name")), model=model_name(run.identity.name), estimate=estimate)
        for panel in wanted
        for estimate in found
        if estimate.metric == panel.metric and _fits(estimate, panel)
    ]


def _fits(estimate: Estimate, panel: Panel) -> bool:
    """Whether an estimate stands in a panel; without a value it has no slot."""
    slot = panel.slot if estimate.value is not None else estimate.slot
    return estimate.slot == slot and (estimate.task == "all") == panel.whole


def _of(marks: Sequence[Mark], panel: Panel) -> list[Mark]:
    return [mark for mark in marks if mark.panel == panel.name and mark.estimate.value is not None]


def _panel(axis: Axes, panel: Panel, marks: Sequence[Mark]) -> None:
    for k, mark in enumerate(marks):
        estimate = mark.estimate
        assert estimate.value is not None  # marks without a value are not drawn
        if estimate.reference is not None and estimate.reference.high > estimate.reference.low:
            low, high = estimate.reference.low, estimate.reference.high
            axis.barh(k, high - low, left=low, height=0.7, color="0.85", zorder=1)
        if estimate.low is not None and estimate.high is not None:
            axis.plot([estimate.low, estimate.high], [k, k], color="tab:blue", zorder=2)
        axis.plot([estimate.value], [k], "o", color="tab:blue", markersize=4, zorder=3)
    axis.use_sticky_edges = False
    axis.margins(x=0.04)
    if not panel.positive:
        axis.axvline(0.0, color="0.5", linewidth=0.8, zorder=0)
    axis.set_yticks(range(len(marks)), [_label(mark) for mark in marks], fontsize=7)
    axis.set_ylim(len(marks) - 0.5, -0.5)
    axis.set_title(
        f"{panel.title} ({marks[0].estimate.unit.removesuffix(' above an even share')})", fontsize=8, loc="left"
    )
    axis.tick_params(axis="x", labelsize=7)


def _label(mark: Mark) -> str:
    return mark.suite if mark.estimate.task == "all" else f"{mark.suite}: {mark.estimate.task}"


def _cells(mark: Mark) -> list[str]:
    estimate, reference = mark.estimate, mark.estimate.reference
    mean = "" if reference is None else number(reference.mean, estimate.unit)
    none = "–" if reference is None else f"{mean} ({_reading.reference(estimate)})"
    why = "; ".join(estimate.notes)
    value = said(estimate) if estimate.value is not None else why or "–"
    return [mark.panel, mark.suite, estimate.task, value, interval(estimate), none, str(estimate.n)]
