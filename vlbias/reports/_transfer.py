"""Shows whether bias and its corrections carry over between runs: rows for programs, tables and curves for people."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from matplotlib import colormaps
from matplotlib.figure import Figure

from vlbias.estimates import Carried, Estimate, Likeness, MethodProof, Transfer
from vlbias.reports._corrections import Row, arrow, by_reason, in_points, markdown, row, verdict
from vlbias.reports._draw import PAPER, encoded
from vlbias.reports._text import clean, save

LIKENESS = ("run", "run", "places", "Pearson [95 %]", "ceiling", "Spearman [95 %]", "ceiling", "verdict")
CARRIED = (
    "method",
    "fitted on",
    "applied to",
    "accuracy",
    "change [95 %]",
    "gap",
    "gap left [95 %]",
    "cut",
    "RStd",
    "verdict",
)
CLOSE = 0.8  # of the ceiling


def rows(found: Transfer) -> list[Row]:
    """`{name, value, low, high, goal, ok}`: correlations with their ceilings, then what each correction did where."""
    out: list[Row] = []
    for pair in found.likenesses:
        for kind, estimate, ceiling in _kinds(pair):
            name = f"{kind}_{pair.first}_{pair.second}"
            out += [row(name, estimate.value, _interval(estimate)), row(f"{name}_ceiling", ceiling, None)]
    for one in found.carried:
        name = f"{one.method}_from_{one.fitted_on}_to_{one.applied_to}"
        if one.proof is None:
            out.append(row(f"{name}_gap_after", None, None, ok=False))
            continue
        gap, accuracy = one.proof.changes["gap"], one.proof.changes["accuracy"]
        sound = not one.proof.loses_accuracy
        out += [
            row(f"{name}_gap_before", gap.before, gap.before_interval),
            row(f"{name}_gap_after", gap.after, gap.after_interval),
            row(f"{name}_accuracy_change", accuracy.change, accuracy.change_interval, ok=sound),
            row(f"{name}_rstd_before", one.proof.recall_spread[0], None),
            row(f"{name}_rstd_after", one.proof.recall_spread[1], None),
        ]
    return out


def likeness_table(found: Transfer) -> list[tuple[str, ...]]:
    """The header and one line per pair of runs."""
    return [LIKENESS, *(_pair(pair) for pair in found.likenesses)]


def carried_table(found: Transfer) -> list[tuple[str, ...]]:
    """The header and one line per method, run it was fitted on and run it was applied to; `notes` tell the others."""
    return [CARRIED, *(_line(one, one.proof) for one in found.carried if one.proof is not None)]


def said(pair: Likeness) -> str:
    """One phrase on a pair of bias vectors."""
    if pair.pearson.value is None or pair.pearson_ceiling is None:
        return "no reliable bias vector in one of them"
    low, high = _interval(pair.pearson) or (-1.0, 1.0)
    if low <= 0 <= high:
        return "no likeness found"
    close = "" if abs(pair.pearson.value) >= CLOSE * pair.pearson_ceiling else "partly "
    return close + ("alike" if pair.pearson.value > 0 else "opposite")


def notes(found: Transfer) -> list[str]:
    """What must be known to read the tables."""
    by_slot = found.position == "slot"
    out = [
        f"bias vector: {found.outcome} at each {found.position}{_named(found)} less the mean of all"
        + ("; runs of different numbers of slots are compared at as many places as the shorter has" * by_slot),
        "correlations: a run on one half of the source clips with the other run on the other half, mean over random "
        "halvings; ceiling: what two runs of one true vector would reach; interval: jackknife over groups of clips; "
        f"alike: Pearson of {CLOSE} of its ceiling or more",
        f"corrections: fitted on {found.n_fit_clusters} source clips of all runs together, which no run is measured on"
        + ("; stretched by relative place to other numbers of slots" * by_slot)
        + "; Holm over all that is applied to a run",
        "RStd: spread of recall over the places of options, points, before > after",
    ]
    if len(set(found.models.values())) > 1:
        told = ", ".join(f"{clean(run, 40)} ({clean(model, 60)})" for run, model in found.models.items())
        out.append(
            f"models: {told}; what carries over between them is a measurement, for vlbias run --debias refuses a "
            "correction of another model"
        )
    return out + _refused(found)


def _named(found: Transfer) -> str:
    names = ", ".join(f"{k} {clean(name, 30)}" for k, name in enumerate(found.place_names, start=1))
    return f" ({names})" if names else ""


def _refused(found: Transfer) -> list[str]:
    """Why corrections were not applied, and between which runs; all pairs are not named one by one."""
    pairs: dict[tuple[str, str], list[str]] = defaultdict(list)
    for one in found.carried:
        if one.refused:
            ((why, (method,)),) = by_reason([(one.method, one.refused)]).items()
            pairs[why, method].append(f"{clean(one.fitted_on, 40)} to {clean(one.applied_to, 40)}")
    told: dict[tuple[str, str], list[str]] = defaultdict(list)
    for (why, method), where in pairs.items():
        told[why, "" if len(where) == len(found.runs) ** 2 else f" ({', '.join(where)})"].append(method)
    return [f"not applied: {', '.join(methods)}: {why}{where}" for (why, where), methods in told.items()]


def curves(found: Transfer) -> Figure:
    """The bias vectors of all runs over relative place, with their intervals."""
    figure = Figure(figsize=(5.4, 3.4), layout="constrained")
    axes = figure.subplots()
    axes.axhline(0.0, color=PAPER.shade, linewidth=1.0)
    colours = colormaps["viridis"].resampled(max(2, len(found.vectors) + 1))
    for number, (name, points) in enumerate(found.vectors.items()):
        at = [k / max(1, len(points) - 1) for k in range(len(points))]
        low, high = ([(e.low, e.high)[side] or 0.0 for e in points] for side in (0, 1))
        axes.fill_between(at, low, high, color=colours(number), alpha=0.15, linewidth=0)
        axes.plot(
            at,
            [e.value or 0.0 for e in points],
            color=colours(number),
            marker="o",
            markersize=3.5,
            label=clean(name, 40),
        )
    if found.position == "slot":
        axes.set_xticks([0.0, 0.5, 1.0], ["head", "middle", "question"])
    else:
        n_places = max(map(len, found.vectors.values()))
        axes.set_xticks([k / (n_places - 1) for k in range(n_places)], [str(k + 1) for k in range(n_places)])
        axes.set_xlabel(found.position, fontsize=8)
    axes.set_ylabel(f"{found.outcome}, points from the mean", fontsize=8)
    axes.legend(frameon=False, fontsize=8)
    return figure


def write(found: Transfer, *, folder: Path) -> list[Path]:
    """Writes `transfer.json`, `transfer.md` and `bias_vectors.{png,svg}` into `folder`."""
    text = [f"# Transfer between {', '.join(clean(name) for name in found.runs)}", ""]
    for title, table in (("Bias vectors", likeness_table(found)), ("Corrections", carried_table(found))):
        lines = [markdown(line) for line in table]
        text += [f"## {title}", "", lines[0], "|" + "---|" * len(table[0]), *lines[1:], ""]
    text += [*(f"- {note}" for note in notes(found)), ""]
    drawn = curves(found)
    return [
        save(folder / "transfer.json", json.dumps(rows(found), indent=1, allow_nan=False) + "\n"),
        save(folder / "transfer.md", "\n".join(text)),
        *(save(folder / f"bias_vectors.{kind}", encoded(drawn, kind)) for kind in ("png", "svg")),
    ]


def _kinds(pair: Likeness) -> Sequence[tuple[str, Estimate, float | None]]:
    return (("pearson", pair.pearson, pair.pearson_ceiling), ("spearman", pair.spearman, pair.spearman_ceiling))


def _pair(pair: Likeness) -> tuple[str, ...]:
    told: list[str] = []
    for _, estimate, ceiling in _kinds(pair):
        interval = _interval(estimate)
        span = f" [{interval[0]:+.2f}, {interval[1]:+.2f}]" if interval else ""
        told.append("-" if estimate.value is None else f"{estimate.value:+.2f}{span}")
        told.append("-" if ceiling is None else f"{ceiling:.2f}")
    return (clean(pair.first, 40), clean(pair.second, 40), str(pair.n_slots), *told, said(pair))


def _line(one: Carried, proof: MethodProof) -> tuple[str, ...]:
    accuracy, gap = proof.changes["accuracy"], proof.changes["gap"]
    return (
        clean(one.method, 40),
        clean(one.fitted_on, 40),
        clean(one.applied_to, 40),
        f"{accuracy.after:.1f}",
        f"{accuracy.change:+.1f} [{accuracy.change_interval[0]:+.1f}, {accuracy.change_interval[1]:+.1f}]",
        in_points(gap.before),
        f"{in_points(gap.after)} [{', '.join(map(in_points, gap.after_interval))}]",
        "-" if proof.reduction is None else f"{100 * proof.reduction[0]:.0f} %",
        arrow(proof.recall_spread),
        verdict(proof),
    )


def _interval(found: Estimate) -> tuple[float, float] | None:
    return None if found.low is None or found.high is None else (found.low, found.high)
