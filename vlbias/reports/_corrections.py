"""Shows what corrections did: rows for programs, a table for people, and a frontier of accuracy, bias and cost."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from vlbias.estimates import Estimate, MethodProof, Proof
from vlbias.reports import _arm_maps as arm_maps
from vlbias.reports._draw import encoded
from vlbias.reports._frontier import frontier
from vlbias.reports._text import clean, save

Row: TypeAlias = dict[str, Any]
REDUCTION_GOAL = 0.7
TIME_GOAL = 1.05  # of a calibration, once fitted
COLUMNS = (
    "method",
    "verdict",
    "accuracy",
    "change [95 %]",
    "gap",
    "gap left [95 %]",
    "cut",
    "flips",
    "RStd",
    "passes",
    "tokens",
    "time",
    "memory",
)
WHY_SHAPE = {
    "after": "it rescales option scores; it reaches what the model adds to options, as a prior over places by slot, "
    "and never evidence that was lost before the logits",
    "before": "the orders or contrasts that it asks do not undo this bias",
    "inside": "the change inside the model does not reach this bias",
}
NOTES = "the model's notes are as biased as its answers"
SHARED = (
    "what both prompts share, as a preference, stays; only what evidence adds is made stronger, and lost adds nothing"
)
WHY = {
    "temperature_per_slot": "it never changes which option is chosen",
    "vcd": SHARED,
    "vdd": SHARED,
    "lqcd": "the lead is averaged over options, so neither a preference nor lost evidence changes",
    "portia": "each segment is cut and spread over the order, so a loss at one end takes a part of each; what is lost "
    "for all parts does not come back",
    "cot": NOTES,
    "scene_graph": NOTES,
    "verbalized": "the same probabilities, in words",
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
            row(f"{m.method}_tokens", cost.computed if cost else None, None),
            row(f"{m.method}_peak_bytes", cost.peak_bytes if cost else None, None),
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

    A gap is closed where what is left of it is no more than noise, else narrowed. Accuracy that fell by its own
    interval is told, also where it is not significant over all methods.
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
        return "widens the gap" if significant and abs(gap.after) > abs(gap.before) else "no gap found"
    if significant and abs(gap.after) < abs(gap.before):
        raised = accuracy.change > 0 and accuracy.p_adjusted < 0.05
        left = gap.after_interval[0] > 0 or gap.after_interval[1] < 0
        return ("narrows the gap" if left else "closes the gap") + (", raises accuracy" if raised else "")
    if significant:
        return "widens the gap"
    return "no effect on the gap"


def in_points(value: float) -> str:
    """A number with one decimal; what rounds to nothing has no sign."""
    return f"{round(value, 1) + 0.0:.1f}"


def arrow(pair: tuple[float | None, float | None]) -> str:
    """A value before and after."""
    return " > ".join("-" if value is None else f"{value:.1f}" for value in pair)


def why(method: str, shape: str) -> str | None:
    """Why a method leaves a bias as it is, as far as its make tells."""
    return WHY.get(method.partition(":")[0], WHY_SHAPE.get(shape))


def notes(proof: Proof) -> list[str]:
    """What must be known to read the table."""
    best, worst = (", ".join(str(k + 1) for k in places) for places in proof.gap_slots)
    first = proof.methods[0]
    out = [
        f"gap: accuracy at {proof.position}s {best} less {proof.position}s {worst}, ranked on the fitting "
        f"probes ({proof.n_fit_clusters} source clips); measured on {first.n} held-out probes of {first.clusters}",
        "p-values: vanilla and corrected swapped within source clips, Holm over the methods; intervals: bootstrap over "
        "source clips; passes: prompts per trial beside 1 of vanilla, without what was asked once to fit; time: "
        "seconds beside those of vanilla on the same trials, where prompts share encodings and prefixes as they can",
        f"flips: probes whose choice changes with the {proof.position}, percent; RStd: spread of recall over the "
        "places of options",
    ]
    if proof.place_names:
        named = ", ".join(f"{k} {clean(name, 30)}" for k, name in enumerate(proof.place_names, start=1))
        out.append(f"{proof.position}s: {named}; a probe is all questions of one form about one item")
    out += _memory(proof)
    if proof.vanilla_seconds_per_trial is not None:
        out.append(f"vanilla takes {proof.vanilla_seconds_per_trial:.4g} s per trial on this machine")
    asked = [f"{clean(m.method)} {m.cost.fit_prompts:,}" for m in proof.methods if m.cost and m.cost.fit_prompts]
    if asked:
        out.append(f"prompts asked once to fit: {', '.join(asked)}")
    out += _unmoved(proof)
    out += arm_maps.notes(proof)
    out += [f"left out: {', '.join(who)}: {why}" for why, who in by_reason(proof.refused.items()).items()]
    return out


def _unmoved(proof: Proof) -> list[str]:
    """Why methods leave the gap as it is, those of one make together."""
    found: dict[str, list[str]] = {}
    for m in proof.methods:
        reason = why(m.method, m.shape)
        if reason and not m.loses_accuracy and _of_gap(m) == "no effect on the gap":
            found.setdefault(reason, []).append(clean(m.method, 60))
    return [f"no effect on the gap: {', '.join(who)}: {reason}" for reason, who in found.items()]


def by_reason(refused: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Who was refused for each reason, in the order of the first; a reason is told without the method's name."""
    found: dict[str, list[str]] = {}
    for method, reason in refused:
        named = re.match(rf"{re.escape(method.partition(':')[0])}(\([^)]*\))?: ", reason)
        found.setdefault(clean(reason[named.end() if named else 0 :]), []).append(clean(method, 60))
    return found


def _memory(proof: Proof) -> list[str]:
    """What tokens and memory mean, and why memory is missing where it is."""
    costs = [(m, m.cost) for m in proof.methods if m.cost]
    out = []
    if any(cost.computed is not None for _, cost in costs):
        out.append(
            "tokens: those that went through the model beside those of vanilla on the same trials; what prompts share "
            "is counted once on both sides"
        )
    if any(cost.peak_bytes is not None for _, cost in costs):
        plain = proof.vanilla_peak_bytes
        beside = "" if plain is None else f"; vanilla {plain / 1e6:.1f} MB"
        out.append(f"memory: the most at a time beyond what was held before asking{beside}")
    missing = sorted({cost.peak_reason for _, cost in costs if cost.peak_bytes is None and cost.peak_reason})
    return [*out, *(f"memory left out: {clean(reason)}" for reason in missing)]


def write(proof: Proof, *, folder: Path) -> list[Path]:
    """Writes `corrections.json`, `corrections.md` and `frontier.{png,svg}` into `folder`."""
    lines = [markdown(line) for line in table(proof)]
    lines.insert(1, "|" + "---|" * len(COLUMNS))
    if mapped := [markdown(line) for line in arm_maps.table(proof)]:
        lines += ["", "## Maps", "", mapped[0], "|" + "---|" * len(arm_maps.COLUMNS), *mapped[1:]]
    told = [f"- {note}" for note in notes(proof)]
    text = "\n".join([f"# Corrections of {clean(proof.run_name)}", "", *lines, "", *told, ""])
    drawn = frontier(proof)
    return [
        save(
            folder / "corrections.json",
            json.dumps([*rows(proof), *arm_maps.rows(proof)], indent=1, allow_nan=False) + "\n",
        ),
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
    spread, flips = arrow(m.recall_spread), arrow((m.flips[0].value, m.flips[1].value))
    return (
        clean(m.method, 60),
        verdict(m),
        f"{accuracy.after:.1f}",
        f"{accuracy.change:+.1f} [{accuracy.change_interval[0]:+.1f}, {accuracy.change_interval[1]:+.1f}]",
        in_points(gap.before),
        f"{in_points(gap.after)} [{', '.join(map(in_points, gap.after_interval))}]",
        reduced,
        flips,
        spread,
        f"{m.cost.passes:.2f}" if m.cost else "-",
        "-" if m.cost is None or m.cost.computed is None else f"{m.cost.computed:.3g}",
        "-" if m.cost is None or m.cost.time is None else f"{m.cost.time:.3g}",
        "-" if m.cost is None or m.cost.peak_bytes is None else f"{m.cost.peak_bytes / 1e6:.1f} MB",
    )
