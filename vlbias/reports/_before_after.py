"""The panel of report.html that shows a run before and after the corrections that were tried on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup
from matplotlib.figure import Figure

from vlbias.estimates import MethodProof, Proof
from vlbias.reports import _arm_maps as arm_maps
from vlbias.reports import _corrections as corrections
from vlbias.reports._draw import PAGE, inline_svg
from vlbias.reports._text import clean

SIZE_IN = (2.5, 1.8)
MOST_CURVES = 12


@dataclass(frozen=True, kw_only=True)
class Panel:
    """What the panel holds: a sentence, the table with its head first, notes, and a small figure per method.

    `axis` says what the figures show. `maps` and their table are those of a run over cells.
    """

    lead: str
    axis: str
    table: Sequence[tuple[str, ...]]
    notes: Sequence[str]
    figures: Sequence[Markup]
    maps: Sequence[arm_maps.Shown]
    maps_table: Sequence[tuple[str, ...]]


def panel(proof: Proof | None) -> Panel | None:
    """The panel of a proof, None where no correction was tried; maps take the place of curves over slots."""
    if proof is None:
        return None
    maps = arm_maps.figures(proof)
    return Panel(
        lead=_lead(proof),
        axis=f"Accuracy by {proof.position}",
        table=corrections.table(proof),
        notes=corrections.notes(proof),
        figures=[
            _curves(m, name=f"correction{k}", position=proof.position)
            for k, m in enumerate(() if maps else proof.methods[:MOST_CURVES])
        ],
        maps=maps,
        maps_table=arm_maps.table(proof),
    )


def _lead(proof: Proof) -> str:
    """What the best method does, and on how many probes that is measured."""
    first, best = proof.methods[0], proof.best
    where = f"Measured on {first.n} held-out probes of {first.clusters} source clips; no method was fitted on them."
    if all(m.reduction is None for m in proof.methods):
        return f"These probes show no gap between {proof.position}s that a method could take away. {where}"
    if best is None or best.reduction is None or best.changes["gap"].p_adjusted >= 0.05:
        return f"No method takes a gap away without losing accuracy. {where}"
    gap, accuracy = best.changes["gap"], best.changes["accuracy"]
    return (
        f"{clean(best.method, 60)} takes most of the gap away among those that lose no accuracy significantly: from "
        f"{corrections.in_points(gap.before)} to {corrections.in_points(gap.after)} points, accuracy from "
        f"{accuracy.before:.1f} to {accuracy.after:.1f} percent. {where}"
    )


def _curves(m: MethodProof, *, name: str, position: str) -> Markup:
    """Accuracy by slot, or by place of the right option, before (dashed) and after."""
    figure = Figure(figsize=SIZE_IN, layout="constrained")
    axes = figure.subplots()
    slots = range(1, len(m.curve_before) + 1)
    axes.plot(slots, m.curve_before, color=PAGE.alone, linestyle=(0, (4, 2)), linewidth=1.2)
    axes.plot(slots, m.curve_after, color=PAGE.line, marker="o", markersize=3, linewidth=1.5)
    axes.set_ylim(0, 104)
    axes.set_title(clean(m.method, 36), loc="left", fontsize=9.5, color=PAGE.ink, parse_math=False)
    axes.tick_params(colors=PAGE.quiet, labelsize=8.5, length=3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(PAGE.quiet)
    pairs = zip(slots, m.curve_before, m.curve_after)
    told = "; ".join(f"{position} {slot}: {a:.0f}, then {b:.0f}" for slot, a, b in pairs)
    label = f"Accuracy by {position} before and after {clean(m.method, 60)}: {told}"
    # The drawing is our own XML, in which matplotlib has escaped every foreign text.
    return Markup(inline_svg(figure, name=name, label=label))  # noqa: S704
