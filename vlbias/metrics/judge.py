"""Says whether a judge's verdict follows the place of a candidate, or what is said of it, instead of the candidate."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import special

from vlbias.answers import Answer, Outcome
from vlbias.estimates import Estimate, Reference
from vlbias.metrics._blocks import rows
from vlbias.metrics._even_share import above_even
from vlbias.metrics._intervals import Limits, score_interval, t_quantile
from vlbias.metrics._means import mean_estimate
from vlbias.metrics._resample import p_at_least, sign_flips

Verdicts = Mapping[str, Sequence[Answer]]
LEVELS = ("letter", "content", "correctness")
EFFECTS = ("robustness_rate", "harmful_rate", "helpful_rate", "neutral_rate")
FAIR = "by definition, for a judge without noise who looks at the candidates alone"
NOISE = "no repeat of one order was asked, so decoding noise is included"


def measure(outcomes: Sequence[Outcome], *, rng: np.random.Generator) -> list[Estimate]:
    """Shares of verdicts per place, home-field advantage, flips under rotation, and the effect of phrases; points.

    A judge that looks at the candidates only has an even share at every place, a home-field advantage of 0, flips at
    the letter level alone, and a robustness of 100. Phrases are compared with the same order without one; only probes
    with a verdict in every rotation enter the first three. `task` names the phrase.
    """
    plain: dict[str, list[Answer]] = defaultdict(list)
    swayed: dict[str, list[Answer]] = defaultdict(list)
    asked: set[str] = set()
    for row in rows(outcomes):
        told = dict(row.asked.factors)
        if "swap" not in told or "phrase" not in told:
            continue
        asked.add(row.asked.probe_id)
        if isinstance(row, Answer) and row.chosen is not None:
            (plain[row.asked.probe_id] if told["phrase"] == "none" else swayed[told["phrase"]]).append(row)
    if not asked:
        return []
    whole = {p: plain[p] for p in sorted(plain) if _complete(plain[p])}
    lost = len(asked) - len(whole)
    notes = (f"{lost} of {len(asked)} probes lack one verdict in every rotation; left out",) if lost else ()
    out = [*_shares(whole, notes, rng=rng), *_flips(whole, notes, rng=rng), _home_field(whole, notes, rng=rng)]
    for phrase in sorted(swayed):
        out += _phrase(phrase, swayed[phrase], plain, rng=rng)
    return out


def _complete(verdicts: Sequence[Answer]) -> bool:
    n = verdicts[0].asked.n_options
    return len(verdicts) == n and len({_swap(v) for v in verdicts}) == n


def _shares(whole: Verdicts, notes: tuple[str, ...], *, rng: np.random.Generator) -> list[Estimate]:
    """How much more often the candidate at each place wins than 1 / n; every candidate stands at every place."""
    if not whole:
        return [Estimate(metric="judge_place_share", unit="points", notes=("no probe has every rotation", *notes))]
    n = next(iter(whole.values()))[0].asked.n_options
    won_NK = [[sum(_place(v) == place for v in vs) for place in range(n)] for vs in whole.values()]
    blank = Estimate(metric="judge_place_share", unit="points above an even share", notes=notes)
    clusters = [vs[0].asked.cluster_id for vs in whole.values()]
    excess_NK = 100 * (np.array(won_NK, dtype=np.float64) - 1) / n  # an even share is one win at each place
    return above_even(blank, excess_NK, clusters, rng=rng, bounds=(-100 / n, 100 * (1 - 1 / n)))


def _flips(whole: Verdicts, notes: tuple[str, ...], *, rng: np.random.Generator) -> list[Estimate]:
    """The share of probes whose verdict is not the same in all rotations, read at three levels.

    A verdict that sticks to a candidate changes its letter in every rotation; one that sticks to a place never does.
    """
    out = []
    clusters = [vs[0].asked.cluster_id for vs in whole.values()]
    for level in LEVELS:
        values = [100.0 * (len({_at(v, level) for v in vs}) > 1) for vs in whole.values()]
        blank = Estimate(metric=f"judge_{level}_flip_rate", unit="points", notes=(NOISE, *notes))
        fair = _by_definition(100.0 if level == "letter" else 0.0)
        out.append(mean_estimate(blank, values, clusters, rng=rng, reference=fair))
    return out


def _home_field(whole: Verdicts, notes: tuple[str, ...], *, rng: np.random.Generator) -> Estimate:
    """The advantage of the first place in log-odds, for pairs: logit P(first wins) = quality + gamma.

    Among the pairs whose two verdicts fall on one place, the odds of both-first to both-second are exp(2 gamma)
    whatever the candidates are worth, so gamma is half the log of their ratio, 1/2 added to each count (Haldane). The
    interval is half the logit of the score interval of the share that is both-first (Wilson 1927). The p-value is
    two-sided: mid-p of a binomial, or of first and second exchanged in whole clips where clips hold several pairs.
    """
    blank = {"metric": "judge_home_field", "unit": "log-odds"}
    pairs = [vs for vs in whole.values() if vs[0].asked.n_options == 2]
    stuck = [(vs[0].asked.cluster_id, _place(vs[0]) == 0) for vs in pairs if _place(vs[0]) == _place(vs[1])]
    first, second = sum(at for _, at in stuck), sum(not at for _, at in stuck)
    if not stuck:
        note = "no pair" if not pairs else "no pair whose verdicts fall on one place"
        return Estimate(**blank, n=len(pairs), notes=(note, *notes))  # type: ignore[arg-type]
    limits, interval = _home_limits(stuck)
    low, high = limits if limits is not None else (None, None)
    return Estimate(
        **blank,  # type: ignore[arg-type]
        value=_half_log_odds(first, second),
        low=low,
        high=high,
        interval=interval,
        n=len(pairs),
        clusters=len({cluster for cluster, _ in stuck}),
        reference=_no_home_field(stuck, rng=rng),
        notes=(f"{first} pairs both first, {second} both second, {len(pairs) - len(stuck)} on one candidate", *notes),
    )


def _half_log_odds(first: int, second: int) -> float:
    return 0.5 * math.log((first + 0.5) / (second + 0.5))


def _home_limits(stuck: Sequence[tuple[str, bool]]) -> tuple[Limits | None, str]:
    """The 95 % interval in log-odds, and how it was made or why there is none.

    Pairs of clips of their own are independent trials; where clips hold several, the variance is that between clips
    (never less than of independent pairs), with t. Where all pairs fall on one place the score interval has no end, and
    the normal interval of the log of the odds, 1/2 added to each count, stands in.
    """
    n, n_clusters = len(stuck), len({cluster for cluster, _ in stuck})
    if n_clusters < 2:
        return None, "not available: one cluster"
    first = sum(at for _, at in stuck)
    alone = n_clusters == n
    z = float(special.ndtri(0.975)) if alone else t_quantile(n_clusters)
    if first in (0, n):
        value, half = _half_log_odds(first, n - first), z * 0.5 * math.sqrt(1 / (first + 0.5) + 1 / (n - first + 0.5))
        return (value - half, value + half), "normal, of the log of the odds; every pair falls on one place"
    share = first / n
    se = math.sqrt(share * (1 - share) / n * (1.0 if alone else _design_effect(stuck)))
    low, high = score_interval(share, se, z=z)
    how = "score interval of a share" if alone else f"score interval with t({n_clusters - 1}), clustered"
    return (0.5 * math.log(low / (1 - low)), 0.5 * math.log(high / (1 - high))), f"half the logit of the {how}"


def _design_effect(stuck: Sequence[tuple[str, bool]]) -> float:
    """The variance of a share between clusters over that of independent pairs, at least 1."""
    share = sum(at for _, at in stuck) / len(stuck)
    sums: dict[str, float] = defaultdict(float)
    for cluster, at in stuck:
        sums[cluster] += at - share
    g = len(sums)
    return max(1.0, g / (g - 1) * sum(s * s for s in sums.values()) / (len(stuck) * share * (1 - share)))


def _no_home_field(stuck: Sequence[tuple[str, bool]], *, rng: np.random.Generator) -> Reference:
    by_cluster: dict[str, int] = defaultdict(int)
    for cluster, at in stuck:
        by_cluster[cluster] += 1 if at else -1
    if len(by_cluster) == len(stuck):
        n, k = len(stuck), min(sum(at for _, at in stuck), sum(not at for _, at in stuck))
        p_value = float(min(1.0, special.bdtr(k, n, 0.5) + (special.bdtr(k - 1, n, 0.5) if k else 0.0)))
        return Reference(mean=0.0, low=0.0, high=0.0, p_value=p_value, method="binomial, mid-p")
    excess_G1 = np.array(list(by_cluster.values()), dtype=np.float64)[:, None]
    null_B = np.abs(sign_flips(excess_G1, rng=rng)[:, 0])
    p = p_at_least(null_B, abs(float(excess_G1.sum()))) if len(by_cluster) > 1 else None
    return Reference(mean=0.0, low=0.0, high=0.0, p_value=p, method="first and second exchanged within clusters")


def _phrase(
    phrase: str, swayed: Sequence[Answer], plain: Mapping[str, Sequence[Answer]], *, rng: np.random.Generator
) -> list[Estimate]:
    """What a phrase does to verdicts, and how often the verdict moves to the candidate that it is said of."""
    without = {(p, _swap(v)): v for p, vs in plain.items() for v in vs}
    pairs = [(v, without[key]) for v in swayed if (key := (v.asked.probe_id, _swap(v))) in without]
    clusters = [after.asked.cluster_id for after, _ in pairs]
    lost = len(swayed) - len(pairs)
    notes = (NOISE, f"{lost} verdicts have none without the phrase to compare with") if lost else (NOISE,)
    out = []
    for name in EFFECTS:
        blank = Estimate(metric=f"judge_{name}", task=phrase, unit="points", notes=notes)
        values = [100.0 * (_effect(after, before) == name) for after, before in pairs]
        fair = _by_definition(100.0 if name == "robustness_rate" else 0.0)
        out.append(mean_estimate(blank, values, clusters, rng=rng, reference=fair))
    open_ = [(after, before) for after, before in pairs if before.chosen != _marked(after)]
    for place in [None, *sorted({int(dict(after.asked.factors)["phrase_at"]) for after, _ in open_})]:
        here = [(a, b) for a, b in open_ if place in (None, int(dict(a.asked.factors)["phrase_at"]))]
        blank = Estimate(metric="judge_follow_rate", task=phrase, slot=place, unit="points", notes=notes)
        values = [100.0 * (after.chosen == _marked(after)) for after, _ in here]
        theirs = [after.asked.cluster_id for after, _ in here]
        out.append(mean_estimate(blank, values, theirs, rng=rng, reference=_by_definition(0.0)))
    return out


def _by_definition(value: float) -> Reference:
    return Reference(mean=value, low=value, high=value, p_value=None, method=FAIR)


def _effect(after: Answer, before: Answer) -> str:
    if after.chosen == before.chosen:
        return "robustness_rate"
    return "harmful_rate" if before.correct else "helpful_rate" if after.correct else "neutral_rate"


def _marked(verdict: Answer) -> int:
    """The candidate that the phrase is said of."""
    return verdict.asked.option_order[int(dict(verdict.asked.factors)["phrase_at"])]


def _swap(verdict: Answer) -> str:
    return dict(verdict.asked.factors)["swap"]


def _place(verdict: Answer) -> int:
    assert verdict.chosen is not None
    return verdict.asked.option_order.index(verdict.chosen)


def _at(verdict: Answer, level: str) -> int | bool | None:
    return {"letter": _place(verdict), "content": verdict.chosen, "correctness": verdict.correct}[level]
