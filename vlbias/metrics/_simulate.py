"""Simulates answers with a known effect of position, to measure the error rates of what is said of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special

from vlbias.metrics._blocks import Floats, Ints

World = Literal["independent", "sticky", "clustered"]
SHAPES = ("none", "head", "neighbour", "U", "inverted U", "volatile")
WORLDS: tuple[World, ...] = ("independent", "sticky", "clustered")
BASE = 0.65
PROBE_SD = 1.5
PROBES_PER_CLUSTER = 2.7
SHARED_SHOCK = 0.35
STICKY_SHARE, STICKY_LAG = 0.85, 0.7


@dataclass(frozen=True, kw_only=True, eq=False)
class Simulated:
    """Answers of one simulated run, with what is true of them.

    `correct_PS` is 0 or 1 and `gold_PS` the probability of the right option, both [probe, slot]; `cluster_P` numbers
    the clusters from 0. `accuracy_S` and `gold_S` are the true means at each slot, 0..1.
    """

    correct_PS: Floats
    gold_PS: Floats
    cluster_P: Ints
    accuracy_S: Floats
    gold_S: Floats


def simulate(
    shape: str, amplitude: float, *, n_probes: int, world: World, rng: np.random.Generator, n_slots: int = 10
) -> Simulated:
    """Answers whose accuracy curve has this shape, drawn at random, and spans `amplitude` (0..1) about .65.

    The margin of an answer is the probe's ease (normal, sd 1.5) plus the slot's effect plus logistic noise; it is right
    where the margin is positive, and the right option's probability is the logistic function of the margin. Noise is
    independent; or sticky (85 % shared by a probe's slots, the rest autocorrelated .7 from slot to slot); or clustered
    (2.7 probes share a clip and, at each slot, 35 % of the noise). Raises ValueError for an unknown shape or world.
    """
    if world not in WORLDS:
        raise ValueError(f"unknown world {world!r}; known: {', '.join(WORLDS)}")
    profile_S = draw_profile(shape, n_slots=n_slots, rng=rng)
    accuracy_S = BASE + amplitude * (profile_S - profile_S.mean())
    effect_S = effect_of(accuracy_S)
    cluster_P = np.arange(n_probes)
    if world == "clustered":
        drawn_P = rng.integers(max(2, round(n_probes / PROBES_PER_CLUSTER)), size=n_probes)
        cluster_P = np.unique(drawn_P, return_inverse=True)[1].reshape(-1)
    normal_PS = _noise(world, cluster_P, n_slots=n_slots, rng=rng)
    noise_PS = special.log_ndtr(normal_PS) - special.log_ndtr(-normal_PS)
    margin_PS = PROBE_SD * rng.normal(size=(n_probes, 1)) + effect_S + noise_PS
    return Simulated(
        correct_PS=(margin_PS > 0).astype(np.float64),
        gold_PS=special.expit(margin_PS),
        cluster_P=cluster_P,
        accuracy_S=accuracy_S,
        gold_S=_gold_mean(effect_S),
    )


def draw_profile(shape: str, *, n_slots: int, rng: np.random.Generator) -> Floats:
    """A curve of this shape with range 0..1, [slots], its steepness and turning point drawn at random."""
    x = np.linspace(0.0, 1.0, n_slots)
    if shape == "none":
        return np.zeros(n_slots)
    if shape == "neighbour":
        return draw_profile("head", n_slots=n_slots, rng=rng)[::-1]
    if shape == "head":
        drawn = (
            1 - x,
            np.exp(-rng.uniform(2, 6) * x),
            special.expit(rng.uniform(8, 20) * (rng.uniform(0.15, 0.5) - x)),
        )
        return _unit(drawn[rng.integers(3)])
    if shape == "U":
        rate, tilt, sides = rng.uniform(3, 7), rng.uniform(0.65, 1.0), [np.exp(-x), np.exp(x - 1)]
        strong, weak = (s**rate for s in (sides if rng.random() < 0.5 else sides[::-1]))
        return _unit((x - rng.uniform(0.4, 0.6)) ** 2 if rng.random() < 0.5 else strong + tilt * weak)
    if shape == "inverted U":
        return _unit(-(np.abs(x - rng.uniform(0.4, 0.6)) ** rng.uniform(1.5, 2.5)))
    if shape == "volatile":
        drawn_S = rng.normal(size=n_slots)
        return _unit(drawn_S - np.polynomial.Polynomial.fit(x, drawn_S, 2)(x))
    raise ValueError(f"unknown shape {shape!r}; known: {', '.join(SHAPES)}")


def _unit(curve_S: Floats) -> Floats:
    return np.asarray((curve_S - curve_S.min()) / np.ptp(curve_S))


def _noise(world: World, cluster_P: Ints, *, n_slots: int, rng: np.random.Generator) -> Floats:
    n = len(cluster_P)
    own_PS = rng.normal(size=(n, n_slots))
    if world == "independent":
        return own_PS
    if world == "clustered":
        shock_GS = rng.normal(size=(int(cluster_P.max()) + 1, n_slots))
        return np.asarray(np.sqrt(SHARED_SHOCK) * shock_GS[cluster_P] + np.sqrt(1 - SHARED_SHOCK) * own_PS)
    lagged_PS = own_PS.copy()
    for slot in range(1, n_slots):
        lagged_PS[:, slot] = STICKY_LAG * lagged_PS[:, slot - 1] + np.sqrt(1 - STICKY_LAG**2) * own_PS[:, slot]
    same_P1 = rng.normal(size=(n, 1))
    return np.asarray(np.sqrt(STICKY_SHARE) * same_P1 + np.sqrt(1 - STICKY_SHARE) * lagged_PS)


def effect_of(accuracy_S: Floats) -> Floats:
    """The effect in logits that gives each accuracy, the probes' ease integrated out."""
    grid = np.linspace(-8.0, 8.0, 801)
    ease, weight = np.polynomial.hermite_e.hermegauss(41)
    mean = special.expit(grid[:, None] + PROBE_SD * ease) @ (weight / weight.sum())
    return np.interp(accuracy_S, mean, grid)


def _gold_mean(effect_S: Floats) -> Floats:
    """The mean probability of the right option, ease and logistic noise integrated out."""
    ease, weight = np.polynomial.hermite_e.hermegauss(41)
    noise = special.logit((np.arange(400) + 0.5) / 400)
    margin = effect_S[:, None, None] + PROBE_SD * ease[:, None] + noise
    return np.asarray(special.expit(margin).mean(axis=2) @ (weight / weight.sum()))
