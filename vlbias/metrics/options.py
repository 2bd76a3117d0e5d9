"""Says how much the displayed place of an option decides whether it is chosen, from questions in several orders."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from vlbias.answers import Answer, Failure, Outcome
from vlbias.estimates import Estimate, Reference
from vlbias.metrics._blocks import Floats, cluster_sums, rows
from vlbias.metrics._means import mean_estimate
from vlbias.metrics._multiplicity import over_tasks
from vlbias.metrics._option_counts import (
    CHOSEN,
    RIGHT,
    counts,
    ece,
    ece_of_places,
    excess,
    kl,
    recall,
    resampled,
    rstd,
    share,
    turned,
    with_gold_everywhere,
)
from vlbias.metrics._place_test import TURNED, place_test
from vlbias.metrics._resample import BOOTSTRAP_DRAWS, Resampling, p_at_least, percentile, reference, sign_flips
from vlbias.metrics._spread_interval import INVERTED, Spread, limits_above_reference

FLIPPED = "sign of each cluster's mean change flipped"
BASIC = f"cluster bootstrap, basic, {BOOTSTRAP_DRAWS} draws, cut at 0; read it with the reference"
SAME = Reference(mean=100.0, low=100.0, high=100.0, p_value=None, method="by definition, for a model without noise")
NEVER = Reference(mean=0.0, low=0.0, high=0.0, p_value=None, method="by definition, for a model without noise")
NAMES = (
    "option_rstd",
    "option_rstd_above_reference",
    "option_kl",
    "option_kl_above_reference",
    "option_ece",
    "option_ece_of_places",
    "option_ece_of_places_above_reference",
    "option_consistency",
    "option_accuracy_change",
    "option_prediction_change",
)
SUMMARIES: Mapping[str, tuple[Callable[[Floats], Floats], str]] = MappingProxyType(
    {
        "option_rstd": (rstd, "points"),
        "option_kl": (kl, "nats"),
        "option_ece": (ece, "points"),
        "option_ece_of_places": (ece_of_places, "points"),
    }
)
CONSTANT = "the same in every bootstrap draw"
NOT_WHOLE = "gold never stands at some place"
NO_SCORES = "an answer has no log-probabilities, so nothing says how sure it is; ask with mode: score"


def measure(outcomes: Sequence[Outcome], *, rng: np.random.Generator) -> list[Estimate]:
    """Recall and share of choices of each displayed place (`slot`), and how far orders change answers, in points.

    `option_rstd` is the standard deviation (ddof 0) of recall over places (Zheng et al. 2024); `option_kl` the
    divergence of the shares from uniform, in nats; `option_ece` the classwise expected calibration error over places
    (Kull et al. 2019) in tenths of probability, and `option_ece_of_places` what is left of it after a recalibration
    that does not see places. All are positive without any bias, which the reference shows; `..._above_reference` is
    what is left without the reference's mean, about 0 without a bias.
    `option_consistency` is the share of questions whose content chosen is the same in all orders.
    `option_accuracy_change` is accuracy in the other orders less that in the first, `option_prediction_change` the
    share of other orders whose content chosen differs from the first. A question enters only if every order of it
    was answered; questions with other numbers of options than most are counted apart. Where options were named in
    several ways, `task` names each way too, as `labels: numbers`.
    """
    found = [r for r in rows(outcomes) if r.asked.gold is not None]
    groups, notes = _groups(found)
    if not groups:
        why = "no question was answered in two or more orders of its options; ask with option orders"
        return [Estimate(metric=name, unit="points", notes=(why, *notes)) for name in NAMES]
    out, draws = [], Resampling(rng)
    for task, mine in _parts(groups):
        table = counts([answer for group in mine for answer in group])
        blank = Estimate(metric="", task=task, unit="points", n=sum(map(len, mine)), clusters=len(table),
                         notes=notes)  # fmt: skip
        observed = table.sum(axis=0)[None]
        whole = bool(len(with_gold_everywhere(observed)))
        null = turned(table, drawn=draws)
        drawn = resampled(table, drawn=draws) if len(table) > 1 else None
        if whole:
            null, drawn = with_gold_everywhere(null), None if drawn is None else with_gold_everywhere(drawn)
        out += _per_place(table, null, drawn, blank=blank, whole=whole, draws=draws)
        out += _summaries(observed, null, drawn, blank=blank, whole=whole)
        out += _changes(mine, blank, rng=rng)
    return over_tasks(out)


def _parts(groups: Sequence[list[Answer]]) -> list[tuple[str, list[list[Answer]]]]:
    """All groups and, where there are several, those of each task and of each style of labels, by name."""
    parts: dict[str, list[list[Answer]]] = {"all": list(groups)}
    styles = [dict(g[0].asked.factors).get("labels") for g in groups]
    if len({g[0].asked.task for g in groups}) > 1:
        for group in sorted(groups, key=lambda g: g[0].asked.task):
            parts.setdefault(group[0].asked.task, []).append(group)
    for style in sorted({s for s in styles if s is not None}) if len(set(styles)) > 1 else ():
        parts[f"labels: {style}"] = [g for g, mine in zip(groups, styles) if mine == style]
    return list(parts.items())


def _groups(found: Sequence[Answer | Failure]) -> tuple[list[list[Answer]], tuple[str, ...]]:
    """The answers to one question (at one slot, under one style of labels) in all its orders, the first order first."""
    by_key: dict[tuple[object, ...], list[Answer | Failure]] = defaultdict(list)
    for row in found:
        kept = tuple(f for f in row.asked.factors if f[0] != "order")
        by_key[row.asked.probe_id, row.asked.slot if row.asked.slot is not None else -1, kept].append(row)
    asked = {key: got for key, got in by_key.items() if len({r.asked.option_order for r in got}) > 1}
    if not asked:
        return [], ()
    n_options = np.bincount([got[0].asked.n_options for got in asked.values()]).argmax()
    fit = {k: g for k, g in asked.items() if g[0].asked.n_options == n_options}
    most = max(len(g) for g in fit.values())
    whole = [
        sorted((r for r in fit[key] if isinstance(r, Answer)), key=lambda r: r.asked.trial_id)
        for key in sorted(fit, key=repr)
        if len(fit[key]) == most and all(isinstance(r, Answer) and r.chosen is not None for r in fit[key])
    ]
    notes = []
    if len(whole) < len(fit):
        notes.append(
            f"attrition: {len(fit) - len(whole)} of {len(fit)} questions lack an answer in some order; left out"
        )
    if len(fit) < len(asked):
        notes.append(f"{len(asked) - len(fit)} of {len(asked)} questions do not have {n_options} options; left out")
    return whole, tuple(notes)


def _per_place(
    table_GCP: Floats, null_BCP: Floats, drawn_BCP: Floats | None, *, blank: Estimate, whole: bool,
    draws: Resampling,
) -> list[Estimate]:  # fmt: skip
    """Recall of each place, where gold stands at every place, and the share of choices of each."""
    out = []
    for metric, of, channel in (("option_recall", recall, RIGHT), ("option_share", share, CHOSEN)):
        if metric == "option_recall" and not whole:
            out.append(replace(blank, metric=metric, notes=(NOT_WHOLE, *blank.notes)))
            continue
        value_P, null_BP = of(table_GCP.sum(axis=0)[None])[0], of(null_BCP)
        drawn_BP = None if drawn_BCP is None else of(drawn_BCP)
        p_P, _ = place_test(excess(table_GCP, channel), drawn=draws)
        for place, value in enumerate(value_P.tolist()):
            one = replace(
                blank,
                metric=metric,
                slot=place,
                value=value,
                adjusted=f"max-T over {len(value_P)} places",
                reference=reference(null_BP[:, place], p_value=float(p_P[place]), method=TURNED),
            )
            out.append(_percentile(one, None if drawn_BP is None else drawn_BP[:, place], bounds=(0.0, 100.0)))
    return out


def _summaries(
    observed_1CP: Floats, null_BCP: Floats, drawn_BCP: Floats | None, *, blank: Estimate, whole: bool
) -> list[Estimate]:
    """Spread of recall, divergence of choices, calibration errors: numbers that noise alone makes positive."""
    out = []
    scored = observed_1CP.shape[1] > 3
    for metric, (of, unit) in SUMMARIES.items():
        one = replace(blank, metric=metric, unit=unit)
        if not whole or not (scored or of in (rstd, kl)):
            out.append(replace(one, notes=(NO_SCORES if whole else NOT_WHOLE, *blank.notes)))
        elif isinstance(of, Spread):
            out += _spread(one, of, observed_1CP, null_BCP, drawn_BCP)
        else:
            value, null_B = float(of(observed_1CP)[0]), of(null_BCP)
            # Turning places hardly changes it, as it sees more than places: no p-value.
            one = replace(one, value=value, reference=reference(null_B, p_value=None, method=TURNED))
            out.append(_basic(one, None if drawn_BCP is None else of(drawn_BCP)))
    return out


def _spread(
    blank: Estimate, of: Spread, observed_1CP: Floats, null_BCP: Floats, drawn_BCP: Floats | None
) -> list[Estimate]:
    """A spread, and what it is above its reference; the two have one interval, the reference's mean apart."""
    value, null_B = float(of(observed_1CP)[0]), of(null_BCP)
    mean = float(null_B.mean())
    one = replace(blank, value=value, reference=reference(null_B, p_value=p_at_least(null_B, value), method=TURNED))
    # Its p-value is that of the line above it; twice told, it would count twice where p-values are adjusted.
    left = reference(null_B - mean, p_value=None, method=TURNED)
    above = replace(one, metric=f"{blank.metric}_above_reference", value=value - mean, reference=left)
    drawn_BD = None if drawn_BCP is None else of.deviation(drawn_BCP)
    why = _no_interval(None if drawn_BD is None else of.size(drawn_BD))
    if why or drawn_BD is None or blank.clusters is None:
        return [replace(one, interval=why), replace(above, interval=why)]
    deviation_D = of.deviation(observed_1CP)[0]
    low, high = limits_above_reference(of.size, deviation_D, drawn_BD, null_B, n_clusters=blank.clusters)
    raw = max(0.0, mean + low), max(0.0, mean + high)
    return [
        replace(one, low=raw[0], high=raw[1], interval=f"{INVERTED}, cut at 0; read it with the reference"),
        replace(above, low=low, high=high, interval=INVERTED),
    ]


def _basic(one: Estimate, drawn_B: Floats | None) -> Estimate:
    why = _no_interval(drawn_B)
    if why or drawn_B is None or one.value is None:
        return replace(one, interval=why)
    low, high = np.quantile(drawn_B, [0.025, 0.975])
    limits = max(0.0, float(2 * one.value - high)), max(0.0, float(2 * one.value - low))
    return replace(one, low=limits[0], high=limits[1], interval=BASIC)


def _no_interval(drawn_B: Floats | None) -> str:
    """Why there is no interval; empty where there is one."""
    if drawn_B is None:
        return "not available: one cluster"
    return f"not available: {CONSTANT}" if np.ptp(drawn_B) < 1e-9 else ""


def _percentile(one: Estimate, drawn_B: Floats | None, *, bounds: tuple[float, float]) -> Estimate:
    why = _no_interval(drawn_B)
    if why or drawn_B is None or one.value is None or one.clusters is None:
        return replace(one, interval=why)
    low, high = percentile(drawn_B, one.value, n_clusters=one.clusters, bounds=bounds)
    how = f"cluster bootstrap, percentile, {BOOTSTRAP_DRAWS} draws, widened for few clusters"
    return replace(one, low=low, high=high, interval=how)


def _changes(groups: Sequence[Sequence[Answer]], blank: Estimate, *, rng: np.random.Generator) -> list[Estimate]:
    clusters = [g[0].asked.cluster_id for g in groups]
    same = [100.0 * (len({a.chosen for a in g}) == 1) for g in groups]
    moved = [100.0 * float(np.mean([a.chosen != g[0].chosen for a in g[1:]])) for g in groups]
    gain = [100.0 * (float(np.mean([a.correct for a in g[1:]])) - g[0].correct) for g in groups]
    cluster_N = np.unique(clusters, return_inverse=True)[1].reshape(-1)
    null_B = sign_flips(cluster_sums(np.array(gain)[:, None], cluster_N), rng=rng)[:, 0] / len(gain)
    p = p_at_least(np.abs(null_B), abs(float(np.mean(gain)))) if len(set(clusters)) > 1 else None
    return [
        mean_estimate(replace(blank, metric="option_consistency"), same, clusters, rng=rng, reference=SAME),
        mean_estimate(
            replace(blank, metric="option_accuracy_change"), gain, clusters, rng=rng, bounds=(-100.0, 100.0),
            reference=reference(null_B, p_value=p, method=FLIPPED),
        ),
        mean_estimate(replace(blank, metric="option_prediction_change"), moved, clusters, rng=rng, reference=NEVER),
    ]  # fmt: skip
