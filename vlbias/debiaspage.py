"""Writes docs/corrections.md: what each correction does to observers of known bias, from one command."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vlbias import arms
from vlbias.debiascheck import (
    CLIPS,
    LISTS,
    NO_BIAS,
    PRIOR,
    SIGHT,
    WHIM,
    WITHIN,
    Effect,
    Log,
    cut,
    log_rows,
    methods,
)
from vlbias.selfcheck import Row, wilson

SHAPES = {
    "after": "changes scores once they are there: it reaches what the model adds to options (a prior over places, by "
    "slot), never evidence that did not come through, because that is not in the scores",
    "before": "asks other orders or other prompts",
}
WHY = {
    "permute": "the evidence visits every slot, so what is left cannot depend on the slot",
    "independent": "each segment alone: there is no order",
    "portia": "part of the evidence comes early and part late, so a loss at one end takes a part of it only",
    "vcd": "a prior is in the noised prompt too and is taken off; evidence that is lost is lost in both prompts",
    "vdd": "a prior is in the prompt without evidence too and is taken off; evidence that is lost stays lost",
    "lqcd": "what leads to one option is averaged over options, so neither a prior nor lost evidence changes",
    "cot": "the model's notes are as biased as its answers",
    "scene_graph": "the model's notes are as biased as its answers",
    "verbalized": "the same probabilities in words",
    "temperature_per_slot": "never changes which option is chosen",
    "lad": "needs attention weights and an answer that is a segment",
}


def page(found: Sequence[Effect], logs: Sequence[Log], *, rows: Sequence[Row], n_seeds: int) -> str:
    """The whole page."""
    lines = [
        "# What corrections do, and what they cannot",
        "",
        f"Written by `vlbias debiascheck --seeds {n_seeds}`; never by hand. Every method goes through the loop of "
        "`vlbias debias` on simulated observers that read the pixels and words of the prompts that a method makes: "
        f"{CLIPS} source clips of two probes, 4 slots, 4 options, 40 % of the clips to fit on. Methods inside the "
        "model need a real one and are not simulated.",
        "",
        "## An observer without a bias",
        "",
        "Mean change of accuracy in points with its 95 % interval over seeds, and in how many runs in a hundred the "
        "loop says that a method lowers accuracy or widens the gap: among all methods (Holm), and in brackets if it "
        "had been the only method. *Whims*: the observer also likes other options with every change of the prompt, "
        "whatever it shows; what a method loses there is a true loss, not a false alarm.",
        "",
        *_harm(found),
        "",
        "## What reaches which bias",
        "",
        "Share of the mean gap that is gone, and mean change of accuracy in points. *Evidence lost*: the later the "
        "slot, the less is seen of it (100, 40, 15 and 0 %). *Prior*: the later the slot, the more the first displayed "
        "option is chosen (25, 40, 70 and 91 %).",
        "",
        *_reach(found),
        "",
        "## Propensities from clicks",
        "",
        *_logs(logs),
        "",
        "## Rows",
        "",
        *_rows(rows),
        "",
    ]
    return "\n".join(lines)


def _harm(found: Sequence[Effect]) -> list[str]:
    body = []
    for method in methods(found):
        cells = [method]
        for observer in (NO_BIAS, WHIM):
            mine = [e for e in found if e.observer == observer and e.method == method]
            cells.append(_change(mine))
            cells += [_alarms(mine, harm) for harm in ("accuracy", "gap")]
        body.append(tuple(cells))
    seeds = {e.seed for e in found if e.observer == NO_BIAS}
    hit = len({e.seed for e in found if e.observer == NO_BIAS and e.alarms})
    low, high = (100 * v for v in wilson(hit, len(seeds)))
    n_whim = len({e.seed for e in found if e.observer == WHIM})
    head = ("method", "accuracy", "lowers", "widens", "accuracy, whims", "lowers, whims", "widens, whims")
    said = f"Without a bias some method is said to harm in {hit} of {len(seeds)} runs ({low:.1f} to {high:.1f} %); "
    return [*_table(head, body), "", f"{said}{len(seeds)} seeds without whims, {n_whim} with."]


def _reach(found: Sequence[Effect]) -> list[str]:
    shapes = {name: arms.load(name).shape for name in methods(found)}
    body = []
    for method in methods(found):
        cells = [method]
        for observer in (SIGHT, PRIOR):
            mine = [e for e in found if e.observer == observer and e.method == method]
            cells += [f"{100 * cut(found, observer, method):.0f} %", _change(mine)]
        body.append((*cells, WHY.get(method, SHAPES.get(shapes[method], ""))))
    n = len({e.seed for e in found if e.observer == SIGHT})
    head = ("method", "evidence lost", "accuracy", "prior", "accuracy", "why")
    return [*_table(head, body), "", f"{n} seeds for each bias."]


def _logs(logs: Sequence[Log]) -> list[str]:
    told = {row.name: row for row in log_rows(logs)}
    if not told:
        return ["No click log was simulated."]

    def of(name: str) -> float:
        value = told[name].value
        assert value is not None
        return value

    errors = [100 * float(e) for e in np.sqrt(np.mean([log.dual_K**2 for log in logs], axis=0))]
    least = [100 * float(e) for e in np.sqrt(np.diag(logs[0].least_KK))]
    body = [(str(k), f"{e:.2f}", f"{floor:.2f}") for k, (e, floor) in enumerate(zip(errors, least), start=2)]
    return [
        f"{len(logs)} logs of {LISTS:,} lists each, ten ranks, published examination vector, lists ranked by grade and "
        "chance, nothing shuffled. Root mean square error of exam_1 / exam_k by `dla`, and the least standard error "
        "that any unbiased estimate can have (Cramer-Rao), in %:",
        "",
        *_table(("rank k", "dla", "least possible"), body),
        "",
        f"All nine ratios are within {100 * WITHIN:.0f} % in {100 * of('dla_within_3_percent'):.0f} of 100 logs; the "
        f"best possible estimate would be in {100 * of('dla_best_possible_within_3_percent'):.0f}. The last ranks are "
        f"clicked too seldom for more: 95 of 100 logs need {of('dla_lists_for_3_percent'):,.0f} lists. Squared errors "
        f"are {of('dla_squared_error_over_least'):.2f} times the least possible ones. On expected clicks `dla` is "
        "exact. Ratios from 10,000,000 shuffled lists are within 1 % in "
        f"{100 * of('shuffled_within_1_percent'):.0f} of 100.",
    ]


def _change(mine: Sequence[Effect]) -> str:
    changes = np.array([e.accuracy[1] - e.accuracy[0] for e in mine])
    half = 1.96 * changes.std(ddof=1) / np.sqrt(len(changes))
    return f"{changes.mean():+.1f} ({changes.mean() - half:+.1f} to {changes.mean() + half:+.1f})"


def _alarms(mine: Sequence[Effect], harm: str) -> str:
    holm, single = (100 * np.mean([harm in getattr(e, of) for e in mine]) for of in ("alarms", "single"))
    return f"{holm:.0f} ({single:.0f})"


def _rows(found: Sequence[Row]) -> list[str]:
    body = []
    for r in found:
        numbers = ["–" if v is None else f"{v:.3g}" for v in (r.value, r.low, r.high)]
        body.append((r.name, *numbers, r.goal, "yes" if r.ok else "NO"))
    return _table(("row", "value", "low", "high", "goal", "ok"), body)


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *body)]
