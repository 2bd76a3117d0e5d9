"""Tries every correction on observers whose bias is known: what it must not do, what it reaches, and how often."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from vlbias import arms, debiasing, tryout
from vlbias.answers import Answer
from vlbias.arms import Rows
from vlbias.athand import AtHand, asked_again
from vlbias.debias import Setting
from vlbias.debias._click_logs import CANDIDATES, EVEN, EXAM_K, SCARCE, click_logs, least_errors, shuffled_clicks
from vlbias.debias._propensity import dual_learning, shuffled_ratios
from vlbias.errors import NotApplicable
from vlbias.estimates import MethodProof
from vlbias.metrics._blocks import Floats
from vlbias.observer import Bias, Observer, Shelf, world
from vlbias.prompts import Style
from vlbias.proof import gap_weights, prove
from vlbias.run import Asking
from vlbias.selfcheck import Row, Tell, in_parallel, share_row

CLIPS, FIT_SHARE, BATCH, LEVEL = 24, 0.4, 64, 0.05
NO_BIAS, WHIM, SIGHT, PRIOR = "no bias", "no bias, whims", "evidence lost", "prior that grows with the slot"
# The longer the context goes on, the more the first displayed option wins.
PRIORS = ((0.25, 0.25, 0.25, 0.25), (0.55, 0.15, 0.15, 0.15), (0.85, 0.05, 0.05, 0.05), (0.97, 0.01, 0.01, 0.01))
SIGHTS = (1.0, 0.4, 0.15, 0.0)
OBSERVERS: dict[str, dict[str, Any]] = {
    NO_BIAS: {},
    WHIM: {"whim": 0.8},
    SIGHT: {"bias": Bias(sight_S=SIGHTS)},
    PRIOR: {"bias": Bias(prior_SO=PRIORS)},
}
CLICKS, FEW_RELEVANT = "clicks", "clicks, few relevant"
GRADES = {CLICKS: EVEN, FEW_RELEVANT: SCARCE}  # how the grades of the documents are shared out in simulated click logs
SHARES = {NO_BIAS: 1.0, WHIM: 0.2, SIGHT: 0.2, PRIOR: 0.2, CLICKS: 1.0, FEW_RELEVANT: 0.5}  # of the seeds
LISTS, SHUFFLED_LISTS, DOCUMENTS = 200_000, 10_000_000, CANDIDATES
WITHIN, SHUFFLED_WITHIN = 0.03, 0.01


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One piece of work: all methods on one observer, or a simulated click log of one kind; `of` names which."""

    of: str
    seed: int


@dataclass(frozen=True, kw_only=True)
class Effect:
    """What one method did to one observer, in points: accuracy, and the first slot less the last, before and after.

    `alarms` names its harms (accuracy lowered, gap widened) that are significant over all methods, as the loop tells
    them; `single` those that would be if it were the only method.
    """

    observer: str
    method: str
    seed: int
    accuracy: tuple[float, float]
    head_minus_tail: tuple[float, float]
    alarms: tuple[str, ...]
    single: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Log:
    """By how much exam_1 / exam_k is missed in one click log, for k = 2 to 10, and the covariance of the best guess."""

    kind: str
    dual_K: Floats
    shuffled_K: Floats
    least_KK: Floats


def work(n_seeds: int) -> list[Trial]:
    """The trials of `n_seeds` seeds; the observers with a bias get a part of them. All kinds get on evenly."""
    counts = {name: max(2, round(share * n_seeds)) for name, share in SHARES.items()}
    asked = [(seed / n, Trial(of=name, seed=seed)) for name, n in counts.items() for seed in range(n)]
    return [trial for _, trial in sorted(asked, key=lambda pair: pair[0])]


def done(trial: Trial) -> list[Effect] | Log:
    """The result of one trial."""
    return click_log(trial.of, seed=trial.seed) if trial.of in GRADES else effects(trial.of, seed=trial.seed)


def effects(observer: str, *, seed: int, methods: str = "all") -> list[Effect]:
    """Every method that can be applied, fitted on some clips of one observer and proved on the others."""
    place = world(CLIPS, seed=seed)
    model = Observer(seed=seed, **OBSERVERS[observer])
    reader: Any = Shelf(place.frames)
    asking = Asking(model=model, reader=reader, style=Style(), mode="score", max_new_tokens=64)
    hand = AtHand(asking=asking, trials={t.trial_id: t for t in place.trials}, batch_size=BATCH)
    rows = asked_again(hand, place.trials, asking)
    parts = debiasing.split(rows, fit_share=FIT_SHARE, rng=np.random.default_rng([seed, 1]))
    found: dict[str, Rows] = {}
    for arm in _outside() if methods == "all" else arms.load_all(methods):
        try:
            arm.method.needs(_setting(rows, parts))
            found[arm.text] = _corrected(arm, hand, rows, parts=parts, seed=seed)
        except NotApplicable:
            continue
    gap_P = gap_weights(parts.fitting(rows), n_slots=len(place.trials[0].segments))
    proofs = prove(parts.reported(rows), found, gap_P=gap_P, rng=np.random.default_rng([seed, 2]))
    return [_effect(observer, seed, proof) for proof in proofs.values()]


def click_log(kind: str, *, seed: int) -> Log:
    """One log of 200,000 lists with a click each, and what is learned from it and from 10,000,000 shuffled lists."""
    rng = np.random.default_rng([seed, 7])
    clicks, grades = click_logs(LISTS, rng=rng, shares=GRADES[kind])
    truth = EXAM_K[1:] / EXAM_K[0]
    return Log(
        kind=kind,
        dual_K=truth / dual_learning(clicks, grades).propensity_K[1:] - 1,
        shuffled_K=truth / shuffled_ratios(shuffled_clicks(SHUFFLED_LISTS, rng=rng))[1:] - 1,
        least_KK=least_errors(grades),
    )


def rows(effects_found: Sequence[Effect], logs: Sequence[Log]) -> list[Row]:
    """False alarms over seeds, the best cut of each planted bias, and how exactly propensities are learned."""
    quiet = [e for e in effects_found if e.observer == NO_BIAS]
    seeds = sorted({e.seed for e in quiet})
    out = []
    for harm in ("accuracy", "gap"):
        hit = {e.seed for e in quiet if harm in e.alarms}
        out.append(share_row(f"false_alarms_{harm}", len(hit), len(seeds), at_most=0.05))
    for method in sorted({e.method for e in quiet}):
        hits = sum(bool(e.alarms) for e in quiet if e.method == method)
        out.append(share_row(f"false_alarms_{method}", hits, len(seeds), at_most=0.05))
    calibrations = [m for m in methods(effects_found) if arms.load(m).shape == "after"]
    for observer, name, among in (
        (SIGHT, "evidence_lost", methods(effects_found)),
        (PRIOR, "slot_prior_by_calibration", calibrations),
    ):
        cuts = [cut(effects_found, observer, m) for m in among]
        best = max((c for c in cuts if c is not None), default=None)
        ok = best is not None and best >= 0.7
        out.append(Row(name=f"best_cut_{name}", value=best, low=None, high=None, goal="at least 0.7", ok=ok))
    return [*out, *log_rows(logs)]


def log_rows(logs: Sequence[Log]) -> list[Row]:
    """How exactly dual learning and shuffled lists find the published propensities."""
    out: list[Row] = []
    for kind, name in ((CLICKS, "dla"), (FEW_RELEVANT, "dla_few_relevant")):
        mine = [log for log in logs if log.kind == kind]
        if mine:
            out += _kind_rows(mine, name=name, at_least=0.95 if kind == CLICKS else None)
    if logs:
        shuffled = sum(bool((np.abs(log.shuffled_K) < SHUFFLED_WITHIN).all()) for log in logs)
        out.append(share_row("shuffled_within_1_percent", shuffled, len(logs), at_least=0.95))
    return out


def _kind_rows(logs: Sequence[Log], *, name: str, at_least: float | None) -> list[Row]:
    """Of one kind of log; without a goal, the goal is a tenth below what the best possible estimate reaches."""
    within = sum(bool((np.abs(log.dual_K) < WITHIN).all()) for log in logs)
    best = best_within(logs[0].least_KK)
    off = float(np.abs(np.mean([log.dual_K for log in logs], axis=0)).max())
    excess = float(np.mean([_squares(log) for log in logs]))
    needed = float(lists_for(logs[0].least_KK, share=0.95))

    def told(what: str, value: float, goal: str, ok: bool = True) -> Row:
        return Row(name=f"{name}_{what}", value=value, low=None, high=None, goal=goal, ok=ok)

    return [
        share_row(f"{name}_within_3_percent", within, len(logs), at_least=best - 0.1 if at_least is None else at_least),
        told("best_possible_within_3_percent", best, "by theory"),
        told("lists_for_3_percent", needed, "95 of 100 logs, by theory"),
        told("squared_error_over_least", excess, "at most 1.3", excess <= 1.3),
        told("largest_mean_error", off, f"at most {WITHIN}", off <= WITHIN),
    ]


def methods(found: Sequence[Effect]) -> list[str]:
    """The methods that were tried, sorted."""
    return sorted({e.method for e in found})


def cut(found: Sequence[Effect], observer: str, method: str) -> float | None:
    """The share of the mean of the first slot less the last that a method takes away; negative where it widens it.

    None where there is no such gap to take away from.
    """
    mine = [e.head_minus_tail for e in found if e.observer == observer and e.method == method]
    before, after = (abs(float(np.mean([pair[k] for pair in mine]))) for k in (0, 1))
    return 1.0 - after / before if before > 0 else None


def best_within(least_KK: Floats, *, within: float = WITHIN) -> float:
    """The chance that the best unbiased estimate of exam_1 / exam_k is within a share of it for all k, by theory."""
    drawn = np.random.default_rng(0).multivariate_normal(np.zeros(len(least_KK)), least_KK, size=20_000)
    return float((np.abs(np.expm1(drawn)) < within).all(axis=1).mean())


def lists_for(least_KK: Floats, *, share: float, n_lists: int = LISTS) -> int:
    """With how many lists, to a twentieth, the best unbiased estimate is within 3 % in this share of logs."""
    factor = 1.0
    while best_within(least_KK / factor) >= share:
        factor /= 1.05
    while best_within(least_KK / factor) < share:
        factor *= 1.05
    return round(n_lists * factor)


def run(n_seeds: int, *, workers: int, tell: Tell) -> tuple[list[Effect], list[Log]]:
    """All trials, by one process or several."""
    found = list(in_parallel(done, work(n_seeds), workers=workers, tell=tell))
    logs = [f for f in found if isinstance(f, Log)]
    return [e for f in found if not isinstance(f, Log) for e in f], logs


@lru_cache(maxsize=1)
def _outside() -> list[arms.Arm]:
    """Every method that does not change the model."""
    return [arm for arm in arms.every() if arm.shape != "inside"]


def _setting(rows: Rows, parts: debiasing.Split) -> Setting:
    first = next(r for r in rows if isinstance(r, Answer)).asked
    n_fit = len({r.asked.probe_id for r in parts.fitting(rows)})
    return Setting(
        kind="insertion",
        n_slots=first.n_slots,
        n_options=first.n_options,
        logprobs=True,
        white_box=False,
        n_fit=n_fit,
        generates=True,
    )


def _corrected(arm: arms.Arm, hand: AtHand, rows: Rows, *, parts: debiasing.Split, seed: int) -> Rows:
    held_out = parts.reported(rows)
    if arm.shape == "after":
        fitting = [r for r in parts.fitting(rows) if isinstance(r, Answer)]
        correction, _ = tryout.fitted(arm, hand, fitting, seed=seed)
        return [correction(r) if isinstance(r, Answer) else r for r in held_out]
    trials = [hand.trials[r.asked.trial_id] for r in held_out]
    with tryout.applied(arm, hand, seed=seed) as asked:  # costs are not wanted, and to measure memory takes seconds
        return asked_again(hand, trials, asked)


def _effect(observer: str, seed: int, proof: MethodProof) -> Effect:
    accuracy, gap, ends = (proof.changes[name] for name in ("accuracy", "gap", "head_minus_tail"))
    worse = {"accuracy": accuracy.change < 0, "gap": abs(gap.after) > abs(gap.before)}
    p_values = {"accuracy": accuracy, "gap": gap}
    harms = [name for name, is_worse in worse.items() if is_worse]
    return Effect(
        observer=observer,
        method=proof.method,
        seed=seed,
        accuracy=(accuracy.before, accuracy.after),
        head_minus_tail=(ends.before, ends.after),
        alarms=tuple(name for name in harms if p_values[name].p_adjusted < LEVEL),
        single=tuple(name for name in harms if p_values[name].p_value < LEVEL),
    )


def _squares(log: Log) -> float:
    missed = np.log1p(log.dual_K)
    return float(missed @ np.linalg.solve(log.least_KK, missed)) / len(missed)
