"""Writes docs/corrections.md: what each correction does to observers of known bias, from one command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from vlbias import arms
from vlbias.debiascheck import (
    CLICKS,
    CLIPS,
    DOCUMENTS,
    FEW_RELEVANT,
    FIT_SHARE,
    GRADES,
    LISTS,
    NO_BIAS,
    PRIOR,
    PRIORS,
    SIGHT,
    SIGHTS,
    WHIM,
    WITHIN,
    Effect,
    Log,
    cut,
    log_rows,
    methods,
)
from vlbias.reports._corrections import why
from vlbias.selfcheck import Row, wilson

REACHES = {
    "permute": "the evidence visits every slot, so what is left cannot depend on the slot",
    "independent": "each segment alone: there is no order",
}


def page(found: Sequence[Effect], logs: Sequence[Log], *, rows: Sequence[Row], n_seeds: int) -> str:
    """The whole page."""
    lines = [
        "# What corrections do, and what they cannot",
        "",
        f"Written by `vlbias debiascheck --seeds {n_seeds}`; never by hand. Every method goes through the loop of "
        "`vlbias debias` on simulated observers that read the pixels and words of the prompts that a method makes: "
        f"{CLIPS} source clips of two probes, 4 slots, 4 options, 40 % of the clips to fit on. Methods inside the "
        "model need a real one and are not simulated. Whether what is fitted carries over to another length, "
        "surrounding, wording or model: [transfer.md](transfer.md).",
        "",
        "## An observer without a bias",
        "",
        "Mean change of accuracy in points with its 95 % interval over seeds, and in how many runs in a hundred the "
        "loop says that a method lowers accuracy or widens the gap: among all methods (Holm), and in brackets if it "
        "had been the only method. *Whims*: the observer also likes other options with every change of the prompt, "
        "whatever it shows; what a method loses there is a true loss, not a false alarm. One run holds out "
        f"{CLIPS - round(FIT_SHARE * CLIPS)} clips only, so one run takes a large loss to be sure of it; small true "
        "losses, as of fits on few probes, show in the intervals over seeds.",
        "",
        *_harm(found),
        "",
        "## What reaches which bias",
        "",
        "Share of the gap between the first and the last slot that is gone, and mean change of accuracy in points. "
        "*Evidence lost*: the later the "
        f"slot, the less is seen of it ({_percents(SIGHTS)}). *Prior*: the later the slot, the more the first "
        f"displayed option is chosen, whatever is seen ({_percents([prior[0] for prior in PRIORS])}).",
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
            gone = cut(found, observer, method)
            cells += ["–" if gone is None else f"{100 * gone:.0f} %", _change(mine)]
        body.append((*cells, REACHES.get(method) or why(method, shapes[method]) or ""))
    n = len({e.seed for e in found if e.observer == SIGHT})
    head = ("method", "evidence lost", "accuracy", "prior", "accuracy", "why")
    return [*_table(head, body), "", f"{n} seeds for each bias."]


def _logs(logs: Sequence[Log]) -> list[str]:
    if not logs:
        return ["No click log was simulated."]
    told = {row.name: row for row in log_rows(logs)}
    shuffled = told["shuffled_within_1_percent"].value or 0.0
    few = ", ".join(f"{100 * share:.0f}" for share in GRADES[FEW_RELEVANT])
    lines = [
        f"Logs of {LISTS:,} lists, made as published with dual learning (Ai et al. 2018): the examination vector, the "
        f"ten best of {DOCUMENTS} documents in the order of a weak ranker (by grade and chance), clicks by grade with "
        "noise, nothing shuffled, and a list without a click drawn again. The shares of the grades are our choice: all "
        "alike first, then "
        f"{few} % for grades 0 to 4, so that few are relevant. Mean error and root mean square error of "
        "exam_1 / exam_k by `dla` over the logs, and the least standard error that any unbiased estimate from these "
        "lists can have (Cramer-Rao), in %:",
        "",
    ]
    for kind, name in ((CLICKS, "dla"), (FEW_RELEVANT, "dla_few_relevant")):
        mine = [log for log in logs if log.kind == kind]
        if mine:
            values = {row.removeprefix(f"{name}_"): found.value or 0.0 for row, found in told.items()}
            lines += [*_of_kind(mine, kind, values), ""]
    lines.append(
        "On expected clicks, in place of drawn ones, `dla` is exact. Ratios from 10,000,000 shuffled lists are within "
        f"1 % in {100 * shuffled:.0f} of 100 logs."
    )
    return lines


def _of_kind(logs: Sequence[Log], kind: str, values: Mapping[str, float]) -> list[str]:
    errors_NK = 100 * np.array([log.dual_K for log in logs])
    columns = (errors_NK.mean(axis=0), np.sqrt((errors_NK**2).mean(axis=0)), 100 * np.sqrt(np.diag(logs[0].least_KK)))
    body = [
        (str(k), f"{mean:+.2f}", f"{rms:.2f}", f"{least:.2f}") for k, (mean, rms, least) in enumerate(zip(*columns), 2)
    ]
    title = "All grades alike" if kind == CLICKS else "Few relevant documents"
    return [
        f"{title}, {len(logs)} logs:",
        "",
        *_table(("rank k", "mean error", "root mean square", "least possible"), body),
        "",
        f"All nine ratios are within {100 * WITHIN:.0f} % in {100 * values['within_3_percent']:.0f} of 100 logs; the "
        f"best possible estimate would be in {100 * values['best_possible_within_3_percent']:.0f}, and for 95 it needs "
        f"{values['lists_for_3_percent']:,.0f} lists. Squared errors are {values['squared_error_over_least']:.2f} "
        f"times the least possible ones, and no mean error is beyond {100 * values['largest_mean_error']:.2f} %.",
    ]


def _change(mine: Sequence[Effect]) -> str:
    changes = np.array([e.accuracy[1] - e.accuracy[0] for e in mine])
    half = 1.96 * changes.std(ddof=1) / np.sqrt(len(changes))
    return f"{changes.mean():+.1f} ({changes.mean() - half:+.1f} to {changes.mean() + half:+.1f})"


def _alarms(mine: Sequence[Effect], harm: str) -> str:
    holm, single = (100 * np.mean([harm in getattr(e, of) for e in mine]) for of in ("alarms", "single"))
    return f"{holm:.0f} ({single:.0f})"


def _percents(shares: Sequence[float]) -> str:
    return ", ".join(f"{100 * share:.0f}" for share in shares) + " %"


def _rows(found: Sequence[Row]) -> list[str]:
    body = []
    for r in found:
        numbers = ["–" if v is None else f"{v:.3g}" for v in (r.value, r.low, r.high)]
        body.append((r.name, *numbers, r.goal, "yes" if r.ok else "NO"))
    return _table(("row", "value", "low", "high", "goal", "ok"), body)


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *body)]
