"""Counts how often the decision on a shape is right, over simulated runs whose truth is known."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from vlbias.metrics._position_test import contrast_rows
from vlbias.metrics._procedure import LEVEL, decide
from vlbias.metrics._simulate import BASE, World, simulate
from vlbias.metrics.levelgauge import morphology

SURE = 0.8
DRAWS = 199
BIASED = ("head", "neighbour", "U", "inverted U", "volatile")
OPPOSITE = {"head": "neighbour", "neighbour": "head", "U": "inverted U", "inverted U": "U"}
# Video-LevelGauge's labels in our words; it has none for an inverted U and none for "not known".
OLD_LABELS = {
    "Stable": "none",
    "Head preference": "head",
    "Neighbor preference": "neighbour",
    "U-shaped": "U",
    "Volatile": "volatile",
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A world, a number of probes, a true shape and its amplitude in points from the best slot to the worst."""

    world: World
    n_probes: int
    shape: str = "none"
    points: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Tally:
    """What was said of `n` simulated runs of a case.

    `found` and `found_gold` count runs in which slots differ, by accuracy and by gold probability on the same answers;
    `labels` and `old_labels` count shapes; `sure` those with a confidence of .8 or more. `covered` of `intervals`
    intervals of contrasts hold the truth.
    """

    case: Case
    n: int
    found: int
    found_gold: int
    labels: Counter[str]
    old_labels: Counter[str]
    sure: Counter[str]
    covered: int
    intervals: int


def tally(case: Case, *, n: int, seed: int, draws: int = DRAWS) -> Tally:
    """The decision on `n` simulated runs; the same seed gives the same counts, whatever else is run."""
    key = int.from_bytes(repr(case).encode(), "big") % 2**63
    rng = np.random.default_rng([seed, key])
    labels: Counter[str] = Counter()
    old_labels: Counter[str] = Counter()
    sure: Counter[str] = Counter()
    found = found_gold = covered = intervals = 0
    for _ in range(n):
        run = simulate(case.shape, case.points / 100, n_probes=case.n_probes, world=case.world, rng=rng)
        said = decide(run.correct_PS, run.cluster_P, rng=rng, draws=draws)
        of_gold = decide(run.gold_PS, run.cluster_P, rng=rng, draws=draws)
        found += said.p_value is not None and said.p_value <= LEVEL
        found_gold += of_gold.p_value is not None and of_gold.p_value <= LEVEL
        labels[said.label] += 1
        if said.label in BIASED and said.confidence is not None and said.confidence >= SURE:
            sure[said.label] += 1
        truth = {name: float(row @ run.accuracy_S) for name, row in contrast_rows(len(run.accuracy_S)).items()}
        for contrast in said.contrasts:
            if contrast.name in truth:
                intervals += 1
                covered += contrast.low <= truth[contrast.name] <= contrast.high
        alone = max(1, rng.binomial(case.n_probes, BASE)) / case.n_probes
        old_labels[OLD_LABELS[morphology(100 * run.correct_PS.mean(axis=0) / alone)]] += 1
    return Tally(
        case=case,
        n=n,
        found=found,
        found_gold=found_gold,
        labels=labels,
        old_labels=old_labels,
        sure=sure,
        covered=covered,
        intervals=intervals,
    )
