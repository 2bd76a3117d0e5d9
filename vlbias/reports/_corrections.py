"""Shows what corrections did: rows for programs, a table for people, and a frontier of accuracy, bias and cost."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

from matplotlib.figure import Figure

from vlbias.estimates import Change, Estimate, MethodProof, Proof
from vlbias.reports._draw import PAPER, encoded
from vlbias.reports._text import clean, save

Row: TypeAlias = dict[str, Any]
REDUCTION_GOAL = 0.7
TIME_GOAL = 1.05  # of a calibration, once fitted
COLUMNS = (
    "method",
    "accuracy",
    "change [95 %]",
    "gap",
    "gap left [95 %]",
    "cut",
    "flips",
    "RStd",
    "passes",
    "time",
    "verdict",
)
WHY = {
    "after": "it rescales option scores: evidence lost before the logits does not come back",
    "before": "the orders or contrasts that it asks do not undo this bias",
    "inside": "the change inside the model does not reach this bias",
}


def rows(proof: Proof) -> list[Row]:
    """`{name, value, low, high, goal, ok}` for programs: numbers in points, costs in vanilla passes.

    `ok` of an accuracy change says that nothing is lost significantly; of a gap after, that the gap did not grow
    significantly. The best method is the one with the largest reduction among those that lose nothing.
    """
    out: list[Row] = []
    for m in proof.methods:
        accuracy, gap = m.changes["accuracy"], m.changes["gap"]
        grew = abs(gap.after) > abs(gap.before) and gap.p_adjusted < 0.05
        cost = m.cost
        out += [
            row(f"{m.method}_gap_before", gap.before, gap.before_interval),
            row(f"{m.method}_gap_after", gap.after, gap.after_interval, ok=not grew),
            row(f"{m.method}_accuracy_change", accuracy.change, accuracy.change_interval, ok=not m.loses_accuracy),
            row(f"{m.method}_flips_before", m.flips[0].value, _interval(m.flips[0])),
            row(f"{m.method}_flips_after", m.flips[1].value, _interval(m.flips[1])),
            row(f"{m.method}_cost", cost.passes if cost else None, None),
            _time_row(m),
        ]
    best = proof.best
    reduction = best.reduction if best else None
    change = best.changes["accuracy"] if best else None
    out += [
        row(
            "best_gap_reduction",
            reduction[0] if reduction else None,
            reduction[1:] if reduction else None,
            goal=REDUCTION_GOAL,
            ok=reduction is not None and reduction[0] >= REDUCTION_GOAL,
        ),
        row(
            "best_accuracy_change",
            change.change if change else None,
            change.change_interval if change else None,
            ok=best is not None,
        ),
    ]
    return out


def table(proof: Proof) -> list[tuple[str, ...]]:
    """The header and one line per method."""
    return [COLUMNS, *(_line(m) for m in proof.methods)]


def verdict(m: MethodProof) -> str:
    """One phrase on a method: what it did to the gap and to accuracy.

    Accuracy that fell by its own interval is told, also where it is not significant over all methods.
    """
    accuracy = m.changes["accuracy"]
    if m.loses_accuracy:
        return "LOWERS ACCURACY"
    fell = accuracy.change_interval[1] < 0
    return _of_gap(m) + (f"; accuracy fell by {-accuracy.change:.1f}" if fell else "")


def _of_gap(m: MethodProof) -> str:
    gap, accuracy = m.changes["gap"], m.changes["accuracy"]
    significant = gap.p_adjusted < 0.05
    if m.reduction is None:
        return "widens the gap" if significant and abs(gap.after) > abs(gap.before) else "no gap to close"
    if significant and abs(gap.after) < abs(gap.before):
        raised = accuracy.change > 0 and accuracy.p_adjusted < 0.05
        return "closes the gap, raises accuracy" if raised else "closes the gap"
    if significant:
        return "widens the gap"
    return "no effect on the gap"


def notes(proof: Proof) -> list[str]:
    """What must be known to read the table."""
    best, worst = (", ".join(str(k + 1) for k in places) for places in proof.gap_slots)
    first = proof.methods[0]
    out = [
        f"gap: accuracy at slots {best} less slots {worst}, ranked on the fitting "
        f"probes ({proof.n_fit_clusters} source clips); measured on {first.n} held-out probes of {first.clusters}",
        "p-values: vanilla and corrected swapped within source clips, Holm over the methods; intervals: bootstrap over "
        "source clips; passes: prompts per trial beside 1 of vanilla, without what was asked once to fit; time: "
        "seconds beside those of vanilla on the same trials, where prompts share encodings and prefixes as they can",
        "flips: probes whose choice changes with the slot, percent; RStd: spread of recall over the places of options",
    ]
    if proof.vanilla_seconds_per_trial is not None:
        out.append(f"vanilla takes {proof.vanilla_seconds_per_trial:.4g} s per trial on this machine")
    for m in proof.methods:
        if not m.loses_accuracy and _of_gap(m) == "no effect on the gap" and m.shape in WHY:
            out.append(f"{clean(m.method)} does not close the gap: {WHY[m.shape]}")
    out += [f"left out: {clean(reason)}" for reason in proof.refused.values()]
    return out


def frontier(proof: Proof) -> Figure:
    """What is left of the gap against accuracy; the area of a dot is the cost in passes, vanilla is the cross."""
    figure = Figure(figsize=(5.4, 3.8), layout="constrained")
    axes = figure.subplots()
    first = proof.methods[0]
    vanilla = (abs(first.changes["gap"].before), first.changes["accuracy"].before)
    axes.plot(*vanilla, marker="x", color=PAPER.ink, linestyle="none")
    axes.annotate("vanilla", vanilla, textcoords="offset points", xytext=(5, 5), color=PAPER.quiet, fontsize=8)
    for m in proof.methods:
        gap, accuracy = m.changes["gap"], m.changes["accuracy"]
        at, passes = (abs(gap.after), accuracy.after), m.cost.passes if m.cost else 1.0
        colour = PAPER.alone if m.loses_accuracy else PAPER.line
        low, high = _absolute(gap)
        spread = (
            [[at[0] - low], [high - at[0]]],
            [
                [max(0.0, accuracy.after - accuracy.after_interval[0])],
                [max(0.0, accuracy.after_interval[1] - accuracy.after)],
            ],
        )
        axes.errorbar(*at, xerr=spread[0], yerr=spread[1], color=colour, linewidth=0.8, alpha=0.6)
        axes.scatter(*at, s=24 * passes, color=colour, alpha=0.8)
        axes.annotate(clean(m.method, 40), at, textcoords="offset points", xytext=(6, -10), color=colour, fontsize=8)
    axes.set_xlabel("gap that is left, points (better: left)")
    axes.set_ylabel("accuracy, percent (better: up)")
    axes.set_title("Held-out probes; area: passes; orange: loses accuracy", fontsize=9, color=PAPER.quiet)
    return figure


def write(proof: Proof, *, folder: Path) -> list[Path]:
    """Writes `corrections.json`, `corrections.md` and `frontier.{png,svg}` into `folder`."""
    lines = [markdown(line) for line in table(proof)]
    lines.insert(1, "|" + "---|" * len(COLUMNS))
    told = [f"- {note}" for note in notes(proof)]
    text = "\n".join([f"# Corrections of {clean(proof.run_name)}", "", *lines, "", *told, ""])
    drawn = frontier(proof)
    return [
        save(folder / "corrections.json", json.dumps(rows(proof), indent=1, allow_nan=False) + "\n"),
        save(folder / "corrections.md", text),
        *(save(folder / f"frontier.{kind}", encoded(drawn, kind)) for kind in ("png", "svg")),
    ]


def row(
    name: str, value: float | None, interval: Sequence[float] | None, *, goal: float | None = None, ok: bool = True
) -> Row:
    """One row for programs."""
    low, high = interval if interval is not None else (None, None)
    return {"name": name, "value": value, "low": low, "high": high, "goal": goal, "ok": ok}


def markdown(cells: Sequence[str]) -> str:
    """One line of a table."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _time_row(m: MethodProof) -> Row:
    time = m.cost.time if m.cost else None
    goal = TIME_GOAL if m.shape == "after" else None
    return row(f"{m.method}_time", time, None, goal=goal, ok=goal is None or time is None or time <= goal)


def _interval(found: Estimate) -> tuple[float, float] | None:
    return None if found.low is None or found.high is None else (found.low, found.high)


def _line(m: MethodProof) -> tuple[str, ...]:
    accuracy, gap = m.changes["accuracy"], m.changes["gap"]
    reduced = "-" if m.reduction is None else f"{100 * m.reduction[0]:.0f} %"
    spread, flips = (
        " > ".join("-" if v is None else f"{v:.1f}" for v in pair)
        for pair in (m.recall_spread, (m.flips[0].value, m.flips[1].value))
    )
    return (
        clean(m.method, 60),
        f"{accuracy.after:.1f}",
        f"{accuracy.change:+.1f} [{accuracy.change_interval[0]:+.1f}, {accuracy.change_interval[1]:+.1f}]",
        f"{gap.before:.1f}",
        f"{gap.after:.1f} [{gap.after_interval[0]:.1f}, {gap.after_interval[1]:.1f}]",
        reduced,
        flips,
        spread,
        f"{m.cost.passes:.2f}" if m.cost else "-",
        "-" if m.cost is None or m.cost.time is None else f"{m.cost.time:.3g}",
        verdict(m),
    )


def _absolute(gap: Change) -> tuple[float, float]:
    """The interval of a gap's size."""
    low, high = gap.after_interval
    sizes = sorted((abs(low), abs(high)))
    at = abs(gap.after)
    return min(at, 0.0 if low <= 0 <= high else sizes[0]), max(at, sizes[1])
