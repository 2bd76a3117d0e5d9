"""Writes docs/order_probes.md from rates of recovery, and from runs of organisms in the conflict suite."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from scipy import stats

from vlbias import scoring
from vlbias.estimates import Estimate
from vlbias.recovery import COVERED, FALSE_ALARMS, Rate
from vlbias.reports import Report
from vlbias.reports._text import model_name, pathless

OPENING = """\
# Order probes: what comes back of what is planted

Every number here comes back from `{command}`. The trials are those of the
bundled suites, the rows go through the same metrics as every run, and each of {n} seeds is another scripted responder
on the same questions, whose preference is known. *Inside*: the share of seeds whose 95 % interval holds the truth, with
its own 95 % interval; *found*: the share in which the metric finds an effect at .05. The goals are 93 to 97 % inside,
and 3 to 7 % found where nothing is planted. Rows of one case share their seeds, so they miss together.
"""
KINDS = {
    "conflict": (
        "Two segments contradict each other",
        "40 probes of 20 clips, 6 segments, all pairs of the slots 1, 2, 4 and 6, both orders of content. `head` is "
        "the log-odds of believing the segment nearer the head, shrunk by exp(-`decay`) per slot more between the two.",
    ),
    "options": (
        "The odds of letters",
        "60 questions of 30 clips in the four rotations of their options, right in 60 %. The odds multiply the chance "
        "of the option displayed at each place. Each answer has luck of its own. Where luck is *mostly shared*, the "
        "correlation of the luck of the four answers to a question is .85; where it is *shared*, a question is right "
        "in all four orders or in none, so recall is the same at every place of every run and nothing can be found. "
        "What is found at single places is adjusted over the four (max-T); *any place* is the chance of a finding.",
    ),
    "judge": (
        "The home field of a judge",
        "100 pairs of captions in both orders; pairs differ in quality by 1 in log-odds. `gamma` is the log-odds that "
        "the caption displayed first gains.",
    ),
}
HEADS = ("planted", "estimate", "truth", "mean", "inside, %", "found, %")


def page(rates: Sequence[Rate], runs: Sequence[Path], *, command: str) -> str:
    """The page, as Markdown."""
    lines = [OPENING.format(command=command, n=rates[0].n), *_verdict(rates)]
    for kind, (title, words) in KINDS.items():
        mine = [rate for rate in rates if rate.case.kind == kind]
        if mine:
            lines += [f"## {title} (`{kind}`)", "", words, "", *_table(HEADS, map(_row, mine)), ""]
    if runs:
        lines += ["## Trained organisms in the conflict suite", "", *_organisms(runs)]
    return "\n".join(lines).rstrip() + "\n"


def _verdict(rates: Sequence[Rate]) -> list[str]:
    """How many figures reach their goals, and which do not."""
    covered = [(rate, rate.covered) for rate in rates if rate.covered is not None]
    alarms = [(rate, rate.found / rate.n) for rate in rates if rate.is_false_alarm]
    out = []
    for what, goal, found in (("shares inside", COVERED, covered), ("false-alarm rates", FALSE_ALARMS, alarms)):
        low, high = goal
        outside = [f"- {_name(rate)}: {100 * share:.1f} %" for rate, share in found if not low <= share <= high]
        told = f"Of {len(found)} {what}, {len(found) - len(outside)} lie in {100 * low:g} to {100 * high:g} %"
        told += f" (of true {100 * (low + high) / 2:g} %, chance puts {_by_chance(goal, rates[0].n):.2g} % outside)"
        out += [f"{told}; outside:", "", *outside, ""] if outside else [f"{told}.", ""]
    return out


def _by_chance(goal: tuple[float, float], n: int) -> float:
    """How often, in percent, `n` seeds count a rate outside the goal that is truly in its middle."""
    low, high = goal
    seen = stats.binom(n, (low + high) / 2)
    return float(100 * (seen.cdf(math.ceil(low * n - 1e-9) - 1) + seen.sf(math.floor(high * n + 1e-9))))


def _name(rate: Rate) -> str:
    return f"{rate.case.kind}, {rate.case.planted}, {_estimate(rate)}"


def _row(rate: Rate) -> list[str]:
    truth = rate.figure.truth
    shown = ("", "") if rate.figure.any_place else ("" if truth is None else _number(truth), _number(rate.mean))
    inside = "" if rate.covered is None else _share(rate.inside, rate.n)
    return [rate.case.planted, _estimate(rate), *shown, inside, _found(rate)]


def _found(rate: Rate) -> str:
    return "" if rate.figure.metric.endswith("_above_reference") else _share(rate.found, rate.n)


def _estimate(rate: Rate) -> str:
    figure = rate.figure
    place = ", any place" if figure.any_place else "" if figure.slot is None else f", place {figure.slot + 1}"
    return f"`{figure.metric}`{place}"


def _share(hits: int, n: int) -> str:
    interval = stats.binomtest(hits, n).proportion_ci(method="wilson")
    return f"{100 * hits / n:.1f} ({100 * interval.low:.1f} to {100 * interval.high:.1f})"


def _organisms(runs: Sequence[Path]) -> list[str]:
    """What each run says of whom the model believes, and the matrix of its pairs of slots."""
    found = [scoring.report(folder, metrics=["preference"]) for folder in runs]
    names = ("index", "head", "neighbour", "other", "distance_slope")
    heads = ("model", "pairs", "p", "index, points", "head, %", "neighbour, %", "other, %", "index per slot apart")
    body = []
    for report in found:
        mine = {e.metric: e for e in report.estimates if e.task == "all" and e.cell is None}
        index = mine["preference_index"]
        p = index.reference.p_value if index.reference else None
        told = [_told(mine[f"preference_{name}"]) for name in names]
        body.append([model_name(report.run.identity.name), str(index.n), "" if p is None else f"{p:.4f}", *told])
    out = [*_table(heads, body), ""]
    for report in found:
        said = re.sub(r"^\S*__main__\.py", "vlbias", pathless(report.run.command))
        out += [f"`{said}`: the index at each pair of slots, * where p < .05 (Holm over the pairs).", "",
                *_matrix(report), ""]  # fmt: skip
    return out


def _matrix(report: Report) -> list[str]:
    cells = {e.cell: e for e in report.estimates if e.metric == "preference_index_pair" and e.task == "all"}
    heads = sorted({cell[0] for cell in cells if cell is not None})
    neighbours = sorted({cell[1] for cell in cells if cell is not None})
    body = [[f"head {h + 1}", *(_cell(cells.get((h, n))) for n in neighbours)] for h in heads]
    return _table(("", *(f"neighbour {n + 1}" for n in neighbours)), body)


def _cell(estimate: Estimate | None) -> str:
    if estimate is None or estimate.value is None:
        return ""
    p = estimate.reference.p_value if estimate.reference else None
    return f"{_number(estimate.value)}{'*' if p is not None and p < 0.05 else ''}"


def _told(estimate: Estimate) -> str:
    if estimate.value is None:
        return "; ".join(estimate.notes)
    if estimate.low is None or estimate.high is None:
        return f"{_number(estimate.value)} ({estimate.interval})"
    return f"{_number(estimate.value)} ({_number(estimate.low)} to {_number(estimate.high)})"


def _number(value: float) -> str:
    text = f"{value:.3f}" if abs(value) < 1 else f"{value:.1f}"
    return text.replace("-", "−") if float(text) else "0"


def _table(head: Sequence[str], body: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *(f"| {' | '.join(row)} |" for row in body)]
