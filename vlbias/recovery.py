"""Says what comes back of preferences planted in the scripted model, seed after seed, through probes and metrics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import combinations
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import special

from vlbias import rooms
from vlbias.answers import Answer, Asked, Audit, asked
from vlbias.config import RunConfig
from vlbias.errors import BadInput
from vlbias.estimates import Estimate
from vlbias.plan import plan
from vlbias.prompts import Style, prompt
from vlbias.records import OptionScores, Prompt, Trial
from vlbias.selfcheck import in_parallel

CHUNK = 20
LEVEL = 0.05
COVERED, FALSE_ALARMS = (0.93, 0.97), (0.03, 0.07)
SLOTS = (0, 1, 3, 5)
NO_AUDIT = Audit(prompt_sha256="", segments=(), segment_spans=(), n_tokens=None, n_frames=0, batch_size=1)


@dataclass(frozen=True, kw_only=True)
class Figure:
    """An estimate whose truth is known (None: only whether it finds something counts).

    With `any_place` it finds something when one of its places does.
    """

    metric: str
    slot: int | None = None
    truth: float | None = None
    any_place: bool = False


@dataclass(frozen=True, kw_only=True)
class Case:
    """A responder, the trials it answers, and what should come back.

    `planted` says in words what it prefers; `effect` is False where it prefers nothing. With `own_luck` each answer
    has luck of its own, or a part of it; without, the answers to one question in several orders of its options share
    all of it.
    """

    kind: str
    planted: str
    arguments: dict[str, Any] = field(default_factory=dict)
    figures: tuple[Figure, ...]
    metric: str
    limit: int
    positions: str = "all"
    effect: bool = True
    own_luck: bool = False


@dataclass(frozen=True, kw_only=True)
class Rate:
    """Of `n` seeds: how many intervals hold the truth, how often an effect is found at .05, and the mean estimate."""

    case: Case
    figure: Figure
    n: int
    inside: int
    found: int
    mean: float

    @property
    def covered(self) -> float | None:
        """The share of intervals that hold the truth."""
        return None if self.figure.truth is None else self.inside / self.n

    @property
    def is_false_alarm(self) -> bool:
        """Whether what is found is a false alarm, told once for all places and where there is a p-value."""
        tested = not self.figure.metric.endswith("_above_reference")
        return tested and not self.case.effect and (self.figure.any_place or self.figure.slot is None)


@dataclass(frozen=True, kw_only=True)
class Job:
    """Some seeds of a case: `n` from `first` on."""

    case: Case
    first: int
    n: int


Floats: TypeAlias = npt.NDArray[np.float64]
Hit: TypeAlias = tuple[float, bool, bool]


def cases() -> tuple[Case, ...]:
    """The planted preferences: a belief in the head, odds of letters, a judge's home field; and none of them."""
    heads = [(0.0, 0.0), (0.8, 0.0), (1.2, 0.4), (-0.8, 0.2)]
    odds = [(1, 1, 1, 1), (2, 1, 1, 1), (3, 2, 1, 1)]
    return (
        *(_conflict(head, decay) for head, decay in heads),
        *(_letters(prior, luck="own") for prior in odds),
        *(_letters(odds[0], luck=luck) for luck in ("mostly shared", "shared")),
        *(_judge(gamma) for gamma in (0.0, 0.5, -0.9)),
    )


def rates(
    chosen: Sequence[Case],
    *,
    seeds: int,
    first: int = 0,
    workers: int = 1,
    tell: Callable[[int, int], None] = lambda _done, _total: None,
) -> list[Rate]:
    """The rates of all figures of the cases, over `seeds` responders each, by their seeds from `first` on."""
    starts = range(first, first + seeds, CHUNK)
    jobs = [Job(case=case, first=k, n=min(CHUNK, first + seeds - k)) for case in chosen for k in starts]
    hits = list(in_parallel(hits_of, jobs, workers=workers, tell=tell))
    out = []
    for k, case in enumerate(chosen):
        mine = [one for part in hits[k * len(starts) : (k + 1) * len(starts)] for one in part]
        for j, figure in enumerate(case.figures):
            values, inside, found = zip(*mine[j :: len(case.figures)], strict=True)
            mean = float(np.mean(values))
            out.append(Rate(case=case, figure=figure, n=seeds, inside=sum(inside), found=sum(found), mean=mean))
    return out


def continued(
    kept: Sequence[Rate], *, seeds: int, workers: int = 1, tell: Callable[[int, int], None] = lambda _done, _total: None
) -> list[Rate]:
    """The rates of all cases over `seeds` responders, or as many as any has; only seeds that are not kept are asked."""
    seeds = max([seeds, *(rate.n for rate in kept)])
    rows = {_key(rate.case, rate.figure): rate for rate in kept}
    done = [min(rows[key].n if (key := _key(c, f)) in rows else 0 for f in c.figures) for c in cases()]
    for first in sorted(set(done) - {seeds}):
        rest = [case for case, n in zip(cases(), done, strict=True) if n == first]
        for rate in rates(rest, seeds=seeds - first, first=first, workers=workers, tell=tell):
            key = _key(rate.case, rate.figure)
            rows[key] = _together(rows[key], rate) if first else rate
    return [rows[_key(case, figure)] for case in cases() for figure in case.figures]


def _key(case: Case, figure: Figure) -> tuple[str, str, Figure]:
    return case.kind, case.planted, figure


def _together(one: Rate, other: Rate) -> Rate:
    n = one.n + other.n
    mean = (one.n * one.mean + other.n * other.mean) / n
    return replace(one, n=n, inside=one.inside + other.inside, found=one.found + other.found, mean=mean)


def as_json(found: Sequence[Rate]) -> list[dict[str, Any]]:
    """The rates as rows; a row names its case by kind and by what is planted."""
    return [
        {"kind": r.case.kind, "planted": r.case.planted, **asdict(r.figure), "n": r.n, "inside": r.inside,
         "found": r.found, "mean": r.mean}
        for r in found
    ]  # fmt: skip


def from_json(rows: Sequence[dict[str, Any]], *, where: str) -> list[Rate]:
    """The rates that `as_json` wrote; a row that no figure of today's cases has is a BadInput that names it."""
    known = {(c.kind, c.planted, f.metric, f.slot, f.any_place): (c, f) for c in cases() for f in c.figures}
    out = []
    for row in rows:
        key = tuple(row.get(name) for name in ("kind", "planted", "metric", "slot", "any_place"))
        if key not in known:
            raise BadInput(f"{where}: {key} is no figure of the cases of today; delete the file to simulate again")
        case, figure = known[key]
        out.append(Rate(case=case, figure=figure, **{name: row[name] for name in ("n", "inside", "found", "mean")}))
    return out


def hits_of(job: Job) -> list[Hit]:
    """Of each seed, of each figure: its value, whether its interval holds the truth, whether it finds an effect."""
    case = job.case
    trials = plan(RunConfig(tasks=case.kind, model="scripted", limit=str(case.limit), positions=case.positions)).trials
    heard = [_heard(trial, own_luck=case.own_luck) for trial in trials]
    told = [replace(asked(trial), task="one") for trial in trials]  # the tasks of a suite are measured as one
    measure = rooms.find("metrics", case.metric).measure
    out = []
    for seed in range(job.first, job.first + job.n):
        model = rooms.find("models", "scripted").load(**case.arguments, seed=seed)
        rows = [_answer(row, scores) for row, scores in zip(told, model.score(heard), strict=True)]
        found = [e for e in measure(rows, rng=np.random.default_rng(seed)) if e.task == "all" and e.cell is None]
        out += [_hit(figure, found) for figure in case.figures]
    return out


def _heard(trial: Trial, *, own_luck: bool) -> Prompt:
    """The prompt of a trial; a factor that names the trial gives its answer luck of its own."""
    told = replace(trial, factors=(*trial.factors, ("draw", trial.trial_id))) if own_luck else trial
    return prompt(told, {}, Style())


def _answer(row: Asked, scores: OptionScores) -> Answer:
    chosen = row.option_order[int(np.argmax(scores.logprobs))]
    return Answer(asked=row, chosen=chosen, logprobs=scores.logprobs, level="exact", reply=None, audit=NO_AUDIT)


def _hit(figure: Figure, found: Sequence[Estimate]) -> Hit:
    mine = [e for e in found if e.metric == figure.metric and (figure.any_place or e.slot == figure.slot)]
    one = mine[0]
    p_values = [e.reference.p_value for e in mine if e.reference is not None and e.reference.p_value is not None]
    if one.value is None or one.low is None or one.high is None:
        raise ValueError(f"{figure.metric}: a seed has no number with an interval: {one.interval}; {one.notes}")
    return (
        one.value,
        figure.truth is not None and one.low <= figure.truth <= one.high,
        min(p_values, default=1.0) < LEVEL,
    )


def _conflict(head: float, decay: float) -> Case:
    """Belief in the nearer to the head by log-odds `head`, shrunk by exp(-`decay`) per slot more between the two."""
    distance_P = np.array([b - a for a, b in combinations(SLOTS, 2)], dtype=np.float64)
    index_P = 100 * (2 * special.expit(head * np.exp(-decay * (distance_P - 1))) - 1)
    index, slope = float(index_P.mean()), float(np.polyfit(distance_P, index_P, 1)[0])
    return Case(
        kind="conflict",
        planted=f"head {head:g}, decay {decay:g}" if head else "none",
        arguments={"head": head, "decay": decay},
        figures=(
            Figure(metric="preference_index", truth=index),
            Figure(metric="preference_head", truth=50 + index / 2),
            Figure(metric="preference_distance_slope", truth=slope),
        ),
        metric="preference",
        limit=40,
        positions=",".join(map(str, SLOTS)),
        effect=head != 0,
    )


def _letters(prior: tuple[int, ...], *, luck: str) -> Case:
    """Odds that multiply the chance of the option displayed at each place; right in 60 % without them."""
    recall_P, share_P = _by_place(np.array(prior, dtype=np.float64), accuracy=0.6)
    effect = len(set(prior)) > 1
    odds = ":".join(map(str, prior))
    figures = [
        Figure(metric=name, slot=place, truth=float(100 * truth))
        for name, truth_P in (("option_recall", recall_P), ("option_share", share_P))
        for place, truth in enumerate(truth_P)
    ]
    figures.append(Figure(metric="option_share", any_place=True))
    spreads = ("option_rstd", "option_kl", "option_ece_of_places")
    if luck != "shared":  # there recall is the same at all places by construction, and nothing is left to test
        figures += [Figure(metric="option_recall", any_place=True), *(Figure(metric=name) for name in spreads)]
        figures += [Figure(metric=f"{name}_above_reference", truth=0.0) for name in spreads if not effect]
    return Case(
        kind="options",
        planted=odds if luck == "own" else f"{odds}, luck {luck}",
        arguments={"accuracy": 0.6, "prior": odds, **({"noise": "sticky"} if luck == "mostly shared" else {})},
        figures=tuple(figures),
        metric="options",
        limit=60,
        effect=effect,
        own_luck=luck != "shared",
    )


def _judge(gamma: float) -> Case:
    """A home field of `gamma` log-odds for the candidate displayed first; pairs differ by 1 in log-odds."""
    return Case(
        kind="judge",
        planted=f"gamma {gamma:g}" if gamma else "none",
        arguments={"home": gamma, "accuracy": 0.75, "difficulty": 1.0},
        figures=(Figure(metric="judge_home_field", truth=gamma),),
        metric="judge",
        limit=100,
        effect=gamma != 0,
    )


def _by_place(prior_P: Floats, *, accuracy: float) -> tuple[Floats, Floats]:
    """Recall of each place, and the share of choices of each where gold stands at every place equally often.

    The script is right with log-odds logit(accuracy) + log prior of gold - log of the mean prior of the others, and a
    wrong choice falls in proportion to the prior.
    """
    n = len(prior_P)
    others_P = (prior_P.sum() - prior_P) / (n - 1)
    recall_P = special.expit(special.logit(accuracy) + np.log(prior_P / others_P))
    chosen_PP = np.diag(recall_P)
    for gold in range(n):
        for place in set(range(n)) - {gold}:
            chosen_PP[gold, place] = (1 - recall_P[gold]) * prior_P[place] / (prior_P.sum() - prior_P[gold])
    return recall_P, chosen_PP.mean(axis=0)
