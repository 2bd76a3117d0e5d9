"""What is planted in the scripted model comes back through the probe kinds and their metrics, seed after seed.

`VLBIAS_SEEDS=400 pytest -s tests/test_recovery.py` gives the rates that the documentation states.
"""

import math
import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from vlbias.answers import Answer, asked
from vlbias.config import RunConfig
from vlbias.estimates import Estimate
from vlbias.metrics import judge, options, preference
from vlbias.models import scripted
from vlbias.plan import Plan, plan
from vlbias.prompts import prompt

SEEDS = int(os.environ.get("VLBIAS_SEEDS", "12"))
RARE = 1e-4


@dataclass
class Rate:
    """How often the truth lies within the interval, and how often something is found; of `n` seeds."""

    n: int = 0
    inside: int = 0
    found: int = 0
    values: list[float] = field(default_factory=list)

    def take(self, estimate: Estimate, truth: float) -> None:
        self.n += 1
        self.inside += estimate.low <= truth <= estimate.high
        p = estimate.reference.p_value if estimate.reference else None
        self.found += p is not None and p < 0.05
        self.values.append(estimate.value)


def rates(
    asked_plan: Plan,
    arguments: dict[str, object],
    measure: Callable[..., Sequence[Estimate]],
    truths: dict[tuple[str, int | None], float],
    first_seed: int = 0,
) -> dict[tuple[str, int | None], Rate]:
    """The rates of the estimates that have a truth, by metric and slot; each seed is another responder."""
    prompts = [prompt(trial, {}, asked_plan.style) for trial in asked_plan.trials]
    told = [replace(asked(trial), task="one") for trial in asked_plan.trials]
    out: dict[tuple[str, int | None], Rate] = defaultdict(Rate)
    for seed in range(first_seed, first_seed + SEEDS):
        model = scripted.load(**arguments, seed=seed)
        rows = []
        for trial, row, scores in zip(asked_plan.trials, told, model.score(prompts), strict=True):
            chosen = trial.option_order[int(np.argmax(scores.logprobs))]
            rows.append(Answer(asked=row, chosen=chosen, logprobs=None, level="exact", reply=None, audit=None))
        for estimate in measure(rows, rng=np.random.default_rng(seed)):
            key = estimate.metric, estimate.slot
            if estimate.task == "all" and estimate.cell is None and key in truths:
                out[key].take(estimate, truths[key])
    assert set(out) == set(truths)
    for (name, slot), rate in out.items():
        true, mean = truths[name, slot], np.mean(rate.values)
        place = "" if slot is None else f" at place {slot + 1}"
        print(  # noqa: T201
            f"{arguments} {name}{place}: truth {true:.3f}, mean {mean:.3f}, within its interval {rate.inside} of "
            f"{rate.n}, p < .05 in {rate.found}"
        )
    return out


def holds(hits: int, n: int, *, low: float, high: float) -> bool:
    """Whether so many hits are no surprise for a rate somewhere from `low` to `high`."""
    return stats.binom.cdf(hits, n, low) > RARE and stats.binom.sf(hits - 1, n, high) > RARE


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


@pytest.mark.parametrize(("head", "decay"), [(0.0, 0.0), (0.8, 0.0), (1.2, 0.4), (-0.8, 0.2)])
def test_the_strength_and_the_decay_of_a_belief_in_the_head_come_back(head: float, decay: float) -> None:
    asked_plan = plan(RunConfig(tasks="conflict", model="scripted", limit="40", positions="0,1,3,5"))
    distances = np.array([b - a for a, b in combinations((0, 1, 3, 5), 2)], dtype=float)
    index = np.array([100 * (2 * sigmoid(head * math.exp(-decay * (d - 1))) - 1) for d in distances])
    slope = np.polyfit(distances, index, 1)[0]
    truths = {
        ("preference_index", None): index.mean(),
        ("preference_head", None): 50 + index.mean() / 2,
        ("preference_distance_slope", None): slope,
    }
    found = rates(asked_plan, {"head": head, "decay": decay}, preference.measure, truths)
    for rate in found.values():
        assert holds(rate.inside, rate.n, low=0.93, high=0.97)
    heard = found["preference_index", None].found
    assert holds(heard, SEEDS, low=0.03, high=0.07) if head == 0 else heard > 0.9 * SEEDS


@pytest.mark.parametrize("odds", ["1:1:1:1", "2:1:1:1", "3:2:1:1"])
def test_the_odds_of_letters_come_back_as_recall_and_share_of_each_place(odds: str) -> None:
    asked_plan = plan(RunConfig(tasks="options", model="scripted", limit="60"))
    prior = np.array([float(x) for x in odds.split(":")])
    recall, share = _letters(prior, accuracy=0.6)
    truths = {("option_recall", k): 100 * recall[k] for k in range(4)}
    truths |= {("option_share", k): 100 * share[k] for k in range(4)}
    found = rates(asked_plan, {"accuracy": 0.6, "prior": odds}, options.measure, truths)
    for rate in found.values():
        assert holds(rate.inside, rate.n, low=0.93, high=0.97)
    if odds == "1:1:1:1":
        assert all(holds(rate.found, SEEDS, low=0.0, high=0.07) for rate in found.values())


@pytest.mark.parametrize("gamma", [0.0, 0.5, -0.9])
def test_the_home_field_of_a_judge_comes_back(gamma: float) -> None:
    asked_plan = plan(RunConfig(tasks="judge", model="scripted", limit="100"))
    arguments = {"home": gamma, "accuracy": 0.75, "difficulty": 1.0}
    found = rates(asked_plan, arguments, judge.measure, {("judge_home_field", None): gamma})
    rate = found["judge_home_field", None]
    assert holds(rate.inside, rate.n, low=0.93, high=0.97)
    if gamma == 0:
        assert holds(rate.found, SEEDS, low=0.03, high=0.07)


def _letters(prior: np.ndarray, *, accuracy: float) -> tuple[np.ndarray, np.ndarray]:
    """Recall of each place, and the share of choices of each where gold stands at every place equally often.

    The script is right with log-odds logit(accuracy) + log prior of gold - log of the mean prior of the others, and a
    wrong choice falls in proportion to the prior.
    """
    n = len(prior)
    logit = math.log(accuracy / (1 - accuracy))
    others = (prior.sum() - prior) / (n - 1)
    recall = np.array([sigmoid(logit + math.log(p / o)) for p, o in zip(prior, others, strict=True)])
    chosen = np.diag(recall)
    for gold in range(n):
        for k in set(range(n)) - {gold}:
            chosen[gold, k] = (1 - recall[gold]) * prior[k] / (prior.sum() - prior[gold])
    return recall, chosen.mean(axis=0)
