"""Propensities of ranks come back from simulated clicks."""

import numpy as np
import pytest

from vlbias.debias._propensity import dual_learning, shuffled_ratios
from vlbias.errors import NotApplicable

# The examination vector of Joachims et al. 2005, as used with the dual learning algorithm.
EXAM = np.array([0.68, 0.61, 0.48, 0.34, 0.28, 0.20, 0.11, 0.10, 0.08, 0.06])
SEEN = 0.1 + 0.9 * (2.0 ** np.arange(5) - 1) / 15


def lists(rng: np.random.Generator, *, count: int, ranked: float) -> tuple[np.ndarray, np.ndarray]:
    """Grades of lists, better ones nearer the top the larger `ranked` is, and clicks of the position-based model."""
    grades = rng.integers(0, 5, size=(count, 10))
    order = np.argsort(-(ranked * grades + rng.normal(size=grades.shape)), axis=1)
    grades = np.take_along_axis(grades, order, axis=1)
    return grades, (rng.random(grades.shape) < EXAM * SEEN[grades]).astype(float)


def test_dual_learning_finds_the_propensities_without_shuffling() -> None:
    grades, clicks = lists(np.random.default_rng(11), count=200_000, ranked=0.5)
    naive = clicks.mean(axis=0)
    found = dual_learning(clicks, grades)
    truth = EXAM / EXAM[0]
    assert np.abs(naive / naive[0] / truth - 1).max() > 0.2
    assert np.abs(truth / found.propensity_K - 1).max() < 0.03
    assert np.abs(found.worth_F / found.worth_F[0] / (SEEN / SEEN[0]) - 1).max() < 0.05


def test_dual_learning_is_exact_on_expected_clicks() -> None:
    grades, _ = lists(np.random.default_rng(3), count=3000, ranked=1.0)
    found = dual_learning(EXAM * SEEN[grades], grades)
    assert np.abs(found.propensity_K * EXAM[0] / EXAM - 1).max() < 1e-5


def test_clicks_on_shuffled_lists_give_the_propensities() -> None:
    rng = np.random.default_rng(2)
    grades = rng.integers(0, 5, size=(2000, 10))
    # Each list is shown 5,000 times in an order of chance: the clicks of a rank are binomial with the mean worth.
    clicks = rng.binomial(5000, EXAM * SEEN[grades].mean(axis=1, keepdims=True))
    assert np.abs(shuffled_ratios(clicks.astype(float)) * EXAM[0] / EXAM - 1).max() < 0.01


def test_a_rank_without_clicks_is_refused() -> None:
    clicks = np.ones((5, 3))
    clicks[:, 2] = 0
    with pytest.raises(NotApplicable, match="without a click"):
        dual_learning(clicks, np.zeros((5, 3), dtype=int))
