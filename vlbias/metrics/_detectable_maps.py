"""Simulates which effect of a place on a map or in a row a design finds, where places have no planned contrasts.

As in `_detectable`: mean maps are drawn from their normal distribution and go through the test of the metric.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vlbias.metrics._blocks import Floats, Ints
from vlbias.metrics._detectable import Components, design_effect
from vlbias.metrics._spatial_test import LEVEL as PATTERN_LEVEL
from vlbias.metrics._spatial_test import pattern_rows

DRAWS = 4000


@dataclass(frozen=True, kw_only=True, eq=False)
class MapTest:
    """A test over the places of a map: the largest of some weighings, and the variance with it by min-p or not.

    Every row of `weights_KC` gives the same standard error under the null. `profile_C` is the effect looked for, range
    1.
    """

    weights_KC: Floats
    variance_too: bool
    level: float
    profile_C: Floats


def of_grid(grid_rc: tuple[int, int]) -> MapTest:
    """The test of the pattern of a grid, looking for a fall from its first column to its last, or row of one column."""
    patterns = pattern_rows(grid_rc)
    slope_C = patterns["left" if "left" in patterns else "top"]
    return MapTest(
        weights_KC=np.array(list(patterns.values())),
        variance_too=True,
        level=PATTERN_LEVEL,
        profile_C=slope_C / np.ptp(slope_C),
    )


def of_places(n_places: int) -> MapTest:
    """Each place against the mean of all, by max-T, looking for a fall from the first place to the last."""
    return MapTest(
        weights_KC=np.eye(n_places) - 1 / n_places,
        variance_too=False,
        level=0.05,
        profile_C=np.linspace(0.5, -0.5, n_places),
    )


def smallest_on_map(
    test: MapTest, noise: Components, size_G: Ints, *, answers: float = 1.0, power: float = 0.8, seed: int = 0
) -> float | None:
    """The smallest effect (0..1, best place less worst) found with this power; None above 1.

    `size_G` are the items of each cluster, `answers` how many answers of an item are averaged at a place.
    """
    rng, n_places = np.random.default_rng([seed, 5]), len(test.profile_C)
    covariance_CC = noise.noise_SS * design_effect(noise, size_G) / size_G.sum() / answers
    spread = float(np.sqrt(np.trace(covariance_CC) / (n_places - 1)))
    null_BC = spread * rng.normal(size=(DRAWS, n_places))
    value_C, vector_CC = np.linalg.eigh(covariance_CC)
    noise_BC = rng.normal(size=(DRAWS, n_places)) @ (vector_CC * np.sqrt(np.maximum(value_C, 0.0))).T
    sorted_BS = np.sort(_statistics(test, null_BC), axis=0)
    critical = float(np.quantile(_least_p(_statistics(test, null_BC), sorted_BS), test.level))

    def found(effect: float) -> bool:
        seen_BS = _statistics(test, noise_BC + effect * test.profile_C)
        return float(np.mean(_least_p(seen_BS, sorted_BS) <= critical)) >= power

    low, high = 0.0, 1.0
    if not found(high):
        return None
    while high - low > 1e-4:
        middle = (low + high) / 2
        low, high = (low, middle) if found(middle) else (middle, high)
    return high


def _statistics(test: MapTest, map_BC: Floats) -> Floats:
    away_BC = map_BC - map_BC.mean(axis=1, keepdims=True)
    columns = [np.abs(away_BC @ test.weights_KC.T).max(axis=1)]
    columns += [(away_BC**2).sum(axis=1)] if test.variance_too else []
    return np.column_stack(columns)


def _least_p(seen_BS: Floats, sorted_BS: Floats) -> Floats:
    at_least = [len(null) - np.searchsorted(null, seen) for seen, null in zip(seen_BS.T, sorted_BS.T, strict=True)]
    return np.asarray((1 + np.array(at_least)).min(axis=0) / (1 + len(sorted_BS)))
