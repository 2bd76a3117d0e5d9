"""How the shape of the position curve moves with the length of the context: runs of one model and source, side by side.

runs of growing length ─> their curves on one scale, labels and fill ─> a figure and a table of the fingerprint
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vlbias import scoring
from vlbias.answers import Answer, Failure
from vlbias.estimates import Estimate, RunInfo
from vlbias.records import digest
from vlbias.reports import Report
from vlbias.reports._draw import PAPER, Curve, encoded, grid_figure
from vlbias.reports._text import model_name
from vlbias.store import read_run

METRICS = ("curve", "contrasts", "shape", "fill")
HEADS = ("segments", "frames each", "tokens", "window filled", "shape", "head above middle", "neighbour above middle")
COLUMNS = 3


@dataclass(frozen=True, kw_only=True)
class Length:
    """One step of a sweep over length: what was asked, and the curve, the label and the two contrasts that came back.

    `tokens` is the mean of a prompt with context, None where the model does not count; `fill` is in percent of the
    context window.
    """

    suite: str
    model: str
    segments: int
    frames: int
    tokens: float | None
    fill: Estimate | None
    curve: tuple[Estimate, ...]
    shape: Estimate | None
    head: Estimate | None
    neighbour: Estimate | None

    @property
    def size(self) -> tuple[float, int]:
        """What the steps are ordered by: tokens where they are told, then frames."""
        return self.tokens or 0.0, self.segments * self.frames


def lengths(folders: Sequence[Path]) -> list[list[Length]]:
    """The sweeps over length among the runs, each from short to long: two or more lengths of one model and source."""
    groups: dict[str, list[Path]] = {}
    for folder in folders:
        run = read_run(folder)
        if "shape" in scoring.of_kind(run.suite.get("kind")) and run.suite.get("kind") is not None:
            groups.setdefault(_sweep_of(run), []).append(folder)
    several = [mine for mine in groups.values() if len({_shape_of(read_run(folder)) for folder in mine}) > 1]
    return [sorted((_length(folder) for folder in mine), key=lambda one: one.size) for mine in several]


def drawn(steps: Sequence[Length]) -> bytes:
    """The curves as small multiples on one scale, svg; a title tells length, fill and label."""
    found = [v for one in steps for e in one.curve for v in (e.value, e.low, e.high) if v is not None]
    limits = (5.0 * math.floor(min(found, default=0.0) / 5), 5.0 * math.ceil(max(found, default=100.0) / 5))
    curves = [Curve(points=one.curve, ylabel="", title=title(one), limits=limits) for one in steps]
    return encoded(grid_figure(curves, palette=PAPER, columns=min(COLUMNS, len(steps))), "svg")


def title(one: Length) -> str:
    """Two short lines over a curve."""
    fill = "" if one.fill is None or one.fill.value is None else f", {one.fill.value:.3g} % full"
    return f"{one.segments} segments × {one.frames} frames\n{label(one.shape)}{fill}"


def label(shape: Estimate | None) -> str:
    """The shape with its confidence, as it is said."""
    if shape is None or shape.label is None:
        return "not measured"
    return shape.label if shape.value is None else f"{shape.label} ({shape.value:.2f})"


def cells(one: Length) -> list[str]:
    """A row of the table, under `HEADS`."""
    tokens = "not told" if one.tokens is None else f"{one.tokens:.0f}"
    fill = "not told" if one.fill is None or one.fill.value is None else f"{one.fill.value:.3g} %"
    sizes = [str(one.segments), str(one.frames), tokens, fill]
    return [*sizes, label(one.shape), _points(one.head), _points(one.neighbour)]


def _sweep_of(run: RunInfo) -> str:
    """What runs of one sweep share: the model, how it was asked, and the suite but for its length, name and words."""
    suite = {k: v for k, v in run.suite.items() if k not in ("name", "description", "version", "segments", "frames")}
    asked = {k: v for k, v in run.config.items() if k in ("prompt_style", "mode", "option_orders", "debias", "limit")}
    return digest([run.identity.name, run.identity.revision, run.identity.weights_sha256, suite, asked])


def _shape_of(run: RunInfo) -> tuple[int, int]:
    """Segments, and frames of each."""
    return int(run.suite["segments"]), int(run.config.get("num_frames") or run.suite["frames"]["num_frames"])


def _length(folder: Path) -> Length:
    report = scoring.report(folder, metrics=METRICS)
    segments, frames = _shape_of(report.run)
    return Length(
        suite=str(report.run.suite.get("name")),
        model=model_name(report.run.identity.name),
        segments=segments,
        frames=frames,
        tokens=_mean_tokens(report),
        fill=_one(report, "context_fill"),
        curve=tuple(e for e in report.estimates if e.metric == "accuracy" and e.task == "all" and e.slot is not None),
        shape=_one(report, "shape"),
        head=_one(report, "accuracy_head_minus_middle"),
        neighbour=_one(report, "accuracy_neighbour_minus_middle"),
    )


def _mean_tokens(report: Report) -> float | None:
    rows = [o for o in report.outcomes if isinstance(o, Answer | Failure) and o.asked.slot is not None]
    counts = [row.audit.n_tokens for row in rows if row.audit is not None and row.audit.n_tokens is not None]
    return sum(counts) / len(counts) if counts else None


def _one(report: Report, metric: str) -> Estimate | None:
    return next((e for e in report.estimates if e.metric == metric and e.task == "all" and e.slot is None), None)


def _points(estimate: Estimate | None) -> str:
    if estimate is None or estimate.value is None:
        return "; ".join(estimate.notes) if estimate is not None and estimate.notes else "not measured"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.1f}"
    return f"{estimate.value:.1f} ({estimate.low:.1f} to {estimate.high:.1f})"
