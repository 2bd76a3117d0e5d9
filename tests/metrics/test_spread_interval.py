"""The interval of a spread holds 0 as often as it says without an effect, and the truth with one."""

import numpy as np
import pytest

from vlbias.metrics._option_counts import absolute_sum, divergence, root_mean_square
from vlbias.metrics._spread_interval import limits_above_reference

RUNS, DRAWS = 300, 400
SIZES = (root_mean_square, absolute_sum, divergence)
NOISE = 0.03


def noise(rng, n):
    """Deviations of four places that sum to 0, [n, 4]."""
    some = NOISE * rng.normal(size=(n, 4))
    return some - some.mean(axis=1, keepdims=True)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("effect", [0.0, 0.1])
def test_the_interval_holds_what_is_above_the_reference_in_95_percent(size, effect):
    rng = np.random.default_rng(1)
    true_P = effect * np.array([1.0, 0.2, -0.4, -0.8])
    truth = float(size(true_P + noise(rng, 20_000)).mean() - size(noise(rng, 20_000)).mean())
    held = 0
    for _ in range(RUNS):
        seen_P = true_P + noise(rng, 1)[0]
        low, high = limits_above_reference(
            size, seen_P, seen_P + noise(rng, DRAWS), size(noise(rng, DRAWS)), n_clusters=10_000
        )
        held += low <= truth <= high
    assert 0.92 * RUNS <= held <= 0.98 * RUNS


def test_resamples_as_they_are_would_hold_zero_nearly_always():
    """What the interval mends: noise twice over, of the questions and of the resampling."""
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(RUNS):
        seen_P = noise(rng, 1)[0]
        drawn = divergence(seen_P + noise(rng, DRAWS))
        value = float(divergence(seen_P[None])[0] - divergence(noise(rng, DRAWS)).mean())
        low, high = np.quantile(drawn - drawn.mean(), [0.025, 0.975])
        held += value - high <= 0 <= value - low
    assert held > 0.98 * RUNS


def test_what_is_flatter_than_chance_lies_below_its_reference():
    rng = np.random.default_rng(2)
    null = root_mean_square(noise(rng, 1000))
    low, high = limits_above_reference(root_mean_square, np.zeros(4), noise(rng, 1000), null, n_clusters=30)
    assert low < high < 0


def test_a_spread_of_few_values_holds_zero_no_more_often_than_it_says():
    """Ties counted whole miss 0 in 3.3 to 3.5 %, on one side in 1.3 %."""
    rng = np.random.default_rng(3)

    def counted(n_answers, n):
        """Deviations of four places among which so many answers that could stand at any are spread, [n, 4]."""
        return 100 / 60 * (rng.multinomial(n_answers, [0.25] * 4, size=n) - n_answers / 4)

    missed = []
    for n_answers in range(30, 50):
        noise, null = counted(n_answers, DRAWS), root_mean_square(counted(n_answers, 4000))
        for seen in counted(n_answers, 80):
            low, high = limits_above_reference(root_mean_square, seen, noise, null, n_clusters=10_000)
            missed.append((low > 0, high < 0))
    assert 0.04 < np.any(missed, axis=1).mean() < 0.06
    assert np.mean(missed, axis=0).min() > 0.015
