"""Simulates which effect of position a design finds: how many slots, probes and clips, and how their answers scatter.

Two simulations. `found_share` draws position curves from their normal distribution and puts them through the gate of
the shape (min-p of the sum of squares and of the largest contrast): some hundredths of a second, so searches can use
it. `rehearsed` draws every probe and runs the permutation test itself: slower, it proves the first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from vlbias.errors import BadInput
from vlbias.metrics._blocks import Floats, Ints
from vlbias.metrics._position_test import contrast_rows, position_test
from vlbias.metrics._resample import Resampling
from vlbias.metrics._simulate import SHAPES, draw_profile

Bools: TypeAlias = npt.NDArray[np.bool_]
LEVEL = 0.05
DRAWS, PROFILES = 4000, 100
MOST_CLIPS = 1_000_000
NO_NOISE = 1e-15


@dataclass(frozen=True, kw_only=True, eq=False)
class Components:
    """What scatters a position curve.

    `noise_SS` is the covariance over probes of the outcome at each slot, less the probe's mean and the slot's mean,
    0..1 squared; `clip_correlation` is the correlation of that residual between questions of one clip; `source` says
    whose components these are.
    """

    noise_SS: Floats
    clip_correlation: float
    source: str


@dataclass(frozen=True, kw_only=True)
class Power:
    """The chance that an effect of a shape is found, with its 95 % Monte Carlo interval."""

    power: float
    low: float
    high: float
    method: str


def components(outcome_PS: Floats, cluster_P: Ints, *, source: str) -> Components:
    """The variance components of complete outcomes 0..1, [probe, slot]; BadInput when they have none.

    The correlation is the moment estimate over pairs of questions of one clip, 0 where it comes out below 0 or where
    no clip has two questions.
    """
    n, n_slots = outcome_PS.shape
    if n < 2 or n_slots < 3:
        raise BadInput(f"power: {source} has {n} complete probes of {n_slots} slots; needs 2 probes of 3 slots")
    residual_PS = outcome_PS - outcome_PS.mean(axis=1, keepdims=True)
    residual_PS = residual_PS - residual_PS.mean(axis=0)
    noise_SS = residual_PS.T @ residual_PS / (n - 1)
    if np.trace(noise_SS) <= NO_NOISE:
        raise BadInput(f"power: in {source} no answer changes with the slot, so there is no noise to plan with")
    number_P = np.unique(cluster_P, return_inverse=True)[1].reshape(-1)
    sums_GS = np.zeros((int(number_P.max()) + 1, n_slots))
    np.add.at(sums_GS, number_P, residual_PS)
    size_G = np.bincount(number_P)
    pairs = float((size_G * (size_G - 1)).sum())
    shared = float((sums_GS**2).sum() - (residual_PS**2).sum())
    correlation = max(0.0, shared / pairs / (float((residual_PS**2).sum()) / n)) if pairs else 0.0
    return Components(noise_SS=noise_SS, clip_correlation=correlation, source=source)


def sizes(n_clips: int, questions: float) -> Ints:
    """The number of questions of each clip, whole and as equal as can be, `questions` on average."""
    if n_clips < 2 or not 1 <= questions <= 1000:
        raise BadInput(f"power: found {n_clips} clips of {questions} questions; give 2 clips and 1 question or more")
    total = round(n_clips * questions)
    return np.full(n_clips, total // n_clips) + (np.arange(n_clips) < total % n_clips)


def found_share(
    noise: Components, size_G: Ints, *, effect: float, shape: str = "head", seed: int = 0, level: float = LEVEL
) -> Power:
    """The chance that the gate finds an effect (0..1, from the highest to the lowest slot) of a shape.

    Curves are normal about the effect with the covariance of the design; the null of the gate is the same with
    exchangeable slots. The shape's steepness is drawn as in `_simulate`.
    """
    hits, null_SB = _Gate(noise, size_G, seed=seed, level=level), _curves(noise, size_G, seed=seed)
    share = float(np.mean(hits(null_SB + effect * _profiles(shape, len(noise.noise_SS), seed=seed))))
    return _with_interval(share, DRAWS, method=f"{DRAWS} drawn curves")


def smallest_effect(
    noise: Components, size_G: Ints, *, shape: str = "head", power: float = 0.8, seed: int = 0
) -> float | None:
    """The smallest effect (0..1) that is found with this power, by bisection on the same draws; None above 1."""
    hits, null_SB = _Gate(noise, size_G, seed=seed, level=LEVEL), _curves(noise, size_G, seed=seed)
    profile_SB = _profiles(shape, len(noise.noise_SS), seed=seed)
    low, high = 0.0, 1.0
    if np.mean(hits(null_SB + profile_SB)) < power:
        return None
    while high - low > 1e-4:
        middle = (low + high) / 2
        low, high = (low, middle) if np.mean(hits(null_SB + middle * profile_SB)) >= power else (middle, high)
    return high


def clips_needed(
    noise: Components, *, effect: float, questions: float, shape: str = "head", power: float = 0.8, seed: int = 0
) -> int:
    """The least number of clips at which the effect (0..1) is found with this power; BadInput above a million."""

    def enough(n_clips: int) -> bool:
        return found_share(noise, sizes(n_clips, questions), effect=effect, shape=shape, seed=seed).power >= power

    low, high = 2, 4
    while not enough(high):
        low, high = high, high * 2
        if high > MOST_CLIPS:
            raise BadInput(f"power: an effect of {100 * effect:g} points needs more than {MOST_CLIPS} clips")
    while high - low > max(1, low // 100):
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def rehearsed(
    noise: Components, size_G: Ints, *, effect: float, shape: str = "head", replicates: int = 400, seed: int = 0
) -> Power:
    """The same chance by the permutation test itself (199 permutations) on drawn probes, normal about the effect."""
    rng, n_slots = np.random.default_rng([seed, 4]), len(noise.noise_SS)
    value_S, vector_SS = np.linalg.eigh(noise.noise_SS)
    root_SS = vector_SS * np.sqrt(np.maximum(value_S, 0.0))
    n_G, shared = size_G.astype(np.float64), noise.clip_correlation
    hits = 0
    for _ in range(replicates):
        # The sum of m probes of one clip: m shares of the clip's own shock, and m independent parts.
        scale_G1 = np.sqrt(n_G**2 * shared + n_G * (1 - shared))[:, None]
        noise_GS = scale_G1 * (rng.normal(size=(len(n_G), n_slots)) @ root_SS.T)
        profile_S = draw_profile(shape, n_slots=n_slots, rng=rng)
        found = position_test(
            noise_GS + n_G[:, None] * effect * profile_S, n_G, drawn=Resampling(rng, permutations=199)
        )
        hits += found.p_any <= LEVEL
    return _with_interval(hits / replicates, replicates, method=f"{replicates} simulated runs, 199 permutations each")


def _curves(noise: Components, size_G: Ints, *, seed: int) -> Floats:
    """Drawn curves without effect, [slots, draws], with the covariance that the design gives a mean curve."""
    covariance_SS = noise.noise_SS * design_effect(noise, size_G) / size_G.sum()
    value_S, vector_SS = np.linalg.eigh(covariance_SS)
    root_SS = vector_SS * np.sqrt(np.maximum(value_S, 0.0))
    return np.asarray(root_SS @ np.random.default_rng([seed, 1]).normal(size=(len(value_S), DRAWS)))


def design_effect(noise: Components, size_G: Ints) -> float:
    """How many times the variance of a mean grows because questions share clips."""
    return 1 + (float((size_G**2).sum()) / float(size_G.sum()) - 1) * noise.clip_correlation


def _profiles(shape: str, n_slots: int, *, seed: int) -> Floats:
    if shape not in SHAPES:
        raise BadInput(f"power: unknown shape {shape!r}; known: {', '.join(SHAPES)}")
    rng = np.random.default_rng([seed, 2])
    drawn_SK = np.array([draw_profile(shape, n_slots=n_slots, rng=rng) for _ in range(PROFILES)]).T
    return np.asarray(np.tile(drawn_SK - drawn_SK.mean(axis=0), DRAWS // PROFILES))


class _Gate:
    """Whether the gate opens for each of some curves [slots, draws]; keeps its null, which a search asks often."""

    def __init__(self, noise: Components, size_G: Ints, *, seed: int, level: float) -> None:
        n_slots, n_clusters = len(noise.noise_SS), len(size_G)
        variance = float(np.trace(noise.noise_SS)) / (n_slots - 1) * design_effect(noise, size_G) / size_G.sum()
        rng = np.random.default_rng([seed, 3])
        null_SB = rng.normal(size=(n_slots, DRAWS)) * math.sqrt(variance)
        self.rows_KS = np.array(list(contrast_rows(n_slots).values()))
        covariance_SS = noise.noise_SS * design_effect(noise, size_G) / size_G.sum()
        variance_K = np.einsum("ks,st,kt->k", self.rows_KS, covariance_SS, self.rows_KS)
        self.se_K = np.sqrt(np.maximum(variance_K, NO_NOISE))  # rounding can leave less than 0
        self.null_se_K = np.sqrt(variance * (self.rows_KS**2).sum(axis=1))
        self.df = n_clusters - 1
        self.scale_B = np.sqrt(rng.chisquare(self.df, size=DRAWS) / self.df)
        statistics_2B = self._statistics(null_SB - null_SB.mean(axis=0), self.null_se_K)
        self.sorted_2B = np.sort(statistics_2B, axis=1)
        self.critical = float(np.quantile(self._least_p(statistics_2B), level))

    def _statistics(self, curve_SB: Floats, se_K: Floats) -> Floats:
        t_B = np.abs(self.rows_KS @ curve_SB / se_K[:, None]).max(axis=0) / self.scale_B
        return np.vstack([t_B, (curve_SB**2).sum(axis=0)])

    def _least_p(self, statistics_2B: Floats) -> Floats:
        at_least = [DRAWS - np.searchsorted(null, seen) for null, seen in zip(self.sorted_2B, statistics_2B)]
        return np.asarray((1 + np.array(at_least)).min(axis=0) / (1 + DRAWS))

    def __call__(self, curve_SB: Floats) -> Bools:
        return np.asarray(self._least_p(self._statistics(curve_SB, self.se_K)) <= self.critical)


def _with_interval(share: float, n: int, *, method: str) -> Power:
    half = 1.96 * math.sqrt(max(share * (1 - share), 1 / n) / n)
    return Power(power=share, low=max(0.0, share - half), high=min(1.0, share + half), method=method)
