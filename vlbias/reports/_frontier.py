"""Draws what corrections do as a frontier: what is left of the gap against accuracy, with the cost as area."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby, product

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from vlbias.estimates import Change, MethodProof, Proof
from vlbias.reports._draw import PAPER
from vlbias.reports._text import clean

POINTS_PER_PASS = 24
NEAR = 9.0  # dots of one label lie so close, in printer's points
LABEL_PT, FAR = 9.0, 16.0
At = tuple[float, float]


def frontier(proof: Proof) -> Figure:
    """What is left of the gap against accuracy, one numbered dot per method; its area is the cost in passes.

    Methods that come out at nearly the same place share a label. A triangle lowers accuracy; the cross is vanilla; the
    dashed steps join the methods that no other one beats in both.
    """
    height_in = max(3.8, 0.2 * (len(proof.methods) + 3))
    figure = Figure(figsize=(7.2, height_in), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    first = proof.methods[0]
    vanilla = (abs(first.changes["gap"].before), first.changes["accuracy"].before)
    axes.plot(*vanilla, marker="x", color=PAPER.ink, linestyle="none", label="vanilla: 1", zorder=3)
    dots = [
        _dot(axes, m, label=f"{number} {clean(m.method, 40)}: {m.cost.passes if m.cost else 1:.3g}")
        for number, m in enumerate(proof.methods, start=1)
    ]
    axes.step(*zip(*best([vanilla, *dots])), where="post", color=PAPER.quiet, linestyle=(0, (3, 3)), linewidth=0.9)
    axes.set_xlabel("gap that is left, points (better: left)")
    axes.set_ylabel("accuracy, percent (better: up)")
    axes.set_title("Held-out probes; area: passes; triangle: lowers accuracy", fontsize=9, color=PAPER.quiet)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside right upper", frameon=False, fontsize=8, markerscale=0.5, title="method: passes")
    figure.draw_without_rendering()  # so that it is known where things lie
    _label(axes, dots, also=[vanilla], scale=figure.dpi / 72)
    return figure


def best(dots: Sequence[At]) -> list[At]:
    """The dots (gap, accuracy) that no other one beats in both, from the least gap on."""
    out: list[At] = []
    for gap, accuracy in sorted(set(dots), key=lambda dot: (dot[0], -dot[1])):
        if not out or accuracy > out[-1][1]:
            out.append((gap, accuracy))
    return out


def runs(numbers: Sequence[int]) -> str:
    """Numbers as text, with three or more in a row joined.

    >>> runs([1, 2, 3, 7, 9, 10])
    '1-3, 7, 9, 10'
    """
    told: list[str] = []
    for _, found in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        row = [number for _, number in found]
        told += [f"{row[0]}-{row[-1]}"] if len(row) > 2 else [str(number) for number in row]
    return ", ".join(told)


def _label(axes: Axes, dots: Sequence[At], *, also: Sequence[At], scale: float) -> None:
    """Numbers beside the dots, each where it covers neither a dot nor another label, as near as there is room."""
    at_px = [axes.transData.transform(dot) for dot in (*dots, *also)]
    taken = [Bbox.from_bounds(x - 4 * scale, y - 4 * scale, 8 * scale, 8 * scale) for x, y in at_px]
    groups: list[list[int]] = []
    for k, (x, y) in enumerate(at_px[: len(dots)]):
        mine = next((g for g in groups if max(abs(at_px[g[0]] - (x, y))) < NEAR * scale), None)
        if mine is None:
            groups.append([k])
        else:
            mine.append(k)
    for group in groups:
        text = runs([k + 1 for k in group])
        x, y = at_px[group[0]]
        size = (0.6 * LABEL_PT * len(text) * scale, 1.2 * LABEL_PT * scale)
        room = [b for b in _places((x, y), size, scale) if axes.bbox.x0 <= b.x0 and b.x1 <= axes.bbox.x1]
        free = [b for b in room if not any(b.overlaps(t) for t in taken)]
        box = next(iter(free or room), next(_places((x, y), size, scale)))
        taken.append(box)
        offset = ((box.x0 - x) / scale, (box.y0 - y) / scale)
        far = {"arrowstyle": "-", "color": PAPER.ink, "linewidth": 0.6} if abs(offset[1]) > FAR else None
        axes.annotate(
            text, dots[group[0]], textcoords="offset points", xytext=offset, color=PAPER.ink, fontsize=LABEL_PT,
            bbox={"boxstyle": "square,pad=0.05", "facecolor": "white", "edgecolor": "none", "alpha": 0.75},
            arrowprops=far,
        )  # fmt: skip


def _places(at_px: At, size_px: At, scale: float) -> Iterator[Bbox]:
    """Where a label may stand, nearest first: to the right or left of its dot, then ever further up or down."""
    for away, right, up in product((5.0, 12.0, 20.0, 30.0, 42.0), (True, False), (True, False)):
        x = at_px[0] + 5 * scale if right else at_px[0] - 5 * scale - size_px[0]
        y = at_px[1] + (away - 2) * scale if up else at_px[1] - (away - 2) * scale - size_px[1]
        yield Bbox.from_bounds(x, y, *size_px)


def _dot(axes: Axes, m: MethodProof, *, label: str) -> At:
    gap, accuracy = m.changes["gap"], m.changes["accuracy"]
    at = (abs(gap.after), accuracy.after)
    low, high = _absolute(gap)
    below, above = (abs(accuracy.after_interval[side] - accuracy.after) for side in (0, 1))
    colour = PAPER.alone if m.loses_accuracy else PAPER.line
    axes.errorbar(
        *at, xerr=[[at[0] - low], [high - at[0]]], yerr=[[below], [above]], color=colour, linewidth=0.8, alpha=0.35
    )
    shape, passes = "v" if m.loses_accuracy else "o", m.cost.passes if m.cost else 1.0
    axes.scatter(*at, s=POINTS_PER_PASS * passes, color=colour, alpha=0.6, marker=shape, label=label, zorder=2.5)
    return at


def _absolute(gap: Change) -> At:
    """The interval of a gap's size."""
    low, high = gap.after_interval
    sizes = sorted((abs(low), abs(high)))
    at = abs(gap.after)
    return min(at, 0.0 if low <= 0 <= high else sizes[0]), max(at, sizes[1])
