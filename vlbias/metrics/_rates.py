"""Counts how often the decision on a shape is right, over simulated runs whose truth is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from vlbias.metrics._blocks import Floats, cluster_sums
from vlbias.metrics._intervals import bounded_mean, effect_size
from vlbias.metrics._position_test import contrast_rows, position_test
from vlbias.metrics._procedure import LEVEL, Decision, decide
from vlbias.metrics._resample import Resampling
from vlbias.metrics._simulate import BASE, Simulated, World, simulate
from vlbias.metrics.levelgauge import morphology

SURE = 0.8
DRAWS = 199
SEEN_SLOTS = (0, 3, 6, -1)
INTERVALS = ("slot means", "contrasts", "size")
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
    `only_right` and `only_gold` those in which one of the two finds it and the other does not. `labels` and
    `old_labels` count shapes; `sure` those with a confidence of .8 or more. `held` of `intervals` intervals of a kind
    hold the truth.
    """

    case: Case
    n: int
    found: int = 0
    found_gold: int = 0
    only_right: int = 0
    only_gold: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    old_labels: Counter[str] = field(default_factory=Counter)
    sure: Counter[str] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)
    intervals: Counter[str] = field(default_factory=Counter)


def tally(case: Case, *, n: int, seed: int, draws: int = DRAWS) -> Tally:
    """The decision on `n` simulated runs; the same seed gives the same counts, whatever else is run."""
    key = int.from_bytes(repr(case).encode(), "big") % 2**63
    rng = np.random.default_rng([seed, key])
    counts: Counter[str] = Counter()
    found = Tally(case=case, n=n)
    for _ in range(n):
        run = simulate(case.shape, case.points / 100, n_probes=case.n_probes, world=case.world, rng=rng)
        said = decide(run.correct_PS, run.cluster_P, rng=rng, draws=draws)
        right = said.p_value is not None and said.p_value <= LEVEL
        gold = _gold_found(run, rng=rng, draws=draws)
        counts.update(found=right, found_gold=gold, only_right=right and not gold, only_gold=gold and not right)
        found.labels[said.label] += 1
        if said.label in BIASED and said.confidence is not None and said.confidence >= SURE:
            found.sure[said.label] += 1
        for kind, holds in _intervals(run, said):
            found.intervals[kind] += 1
            found.held[kind] += holds
        alone = max(1, rng.binomial(case.n_probes, BASE)) / case.n_probes
        found.old_labels[OLD_LABELS[morphology(100 * run.correct_PS.mean(axis=0) / alone)]] += 1
    return Tally(**{**vars(found), **counts})


def _gold_found(run: Simulated, *, rng: np.random.Generator, draws: int) -> bool:
    sums_GS, n_G = _sums(run, run.gold_PS)
    return position_test(sums_GS, n_G, drawn=Resampling(rng, permutations=draws)).p_any <= LEVEL


def _intervals(run: Simulated, said: Decision) -> Iterator[tuple[str, bool]]:
    """Each kind of interval of accuracy, and whether one holds the truth."""
    truth_S = run.accuracy_S
    sums_GS, n_G = _sums(run, run.correct_PS)
    for slot in SEEN_SLOTS:
        limits, _ = bounded_mean(sums_GS[:, slot], n_G, bounds=(0.0, 1.0))
        if limits is not None:
            yield "slot means", limits[0] <= truth_S[slot] <= limits[1]
    rows = contrast_rows(len(truth_S))
    for one in said.contrasts:
        yield "contrasts", one.low <= float(rows[one.name] @ truth_S) <= one.high
    _, limits, _ = effect_size(sums_GS, n_G)
    if limits is not None:
        size = float(truth_S.std())
        yield "size", limits[0] <= size + 1e-12 and size <= limits[1]


def _sums(run: Simulated, outcome_PS: Floats) -> tuple[Floats, Floats]:
    return cluster_sums(outcome_PS, run.cluster_P), np.bincount(run.cluster_P).astype(np.float64)
