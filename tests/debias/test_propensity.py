"""Propensities of ranks come back from simulated clicks, as exactly as so many clicks allow."""

import numpy as np
import pytest

from vlbias.debias._click_logs import CLICKED_Y, EVEN, EXAM_K, SCARCE, click_logs, least_errors, shuffled_clicks
from vlbias.debias._propensity import dual_learning, shuffled_ratios
from vlbias.debiascheck import best_within
from vlbias.errors import NotApplicable


def errors(propensity_K: np.ndarray) -> np.ndarray:
    """By how much exam_1 / exam_k is missed, as a share of it."""
    return EXAM_K[1:] / EXAM_K[0] / propensity_K[1:] - 1


def test_dual_learning_finds_the_propensities_without_shuffling() -> None:
    clicks, grades = click_logs(200_000, rng=np.random.default_rng(11))
    naive = clicks.mean(axis=0)
    found = dual_learning(clicks, grades)
    assert np.abs(errors(naive / naive[0])).max() > 0.2
    assert np.abs(errors(found.propensity_K)).max() < 0.03
    assert (np.abs(errors(found.propensity_K)) < 3 * np.sqrt(np.diag(least_errors(grades)))).all()
    # Documents of grade 0 get some 2,000 clicks, so their worth, which all others are told by, is sure to 2.4 %.
    assert np.abs(found.worth_F / (CLICKED_Y / CLICKED_Y[0]) - 1).max() < 0.08


def test_in_the_published_set_up_3_percent_are_within_reach_and_with_few_relevant_documents_they_are_not() -> None:
    bounds = [least_errors(click_logs(50_000, rng=np.random.default_rng(0), shares=s)[1]) / 4 for s in (EVEN, SCARCE)]
    assert best_within(bounds[0]) > 0.95 > 0.93 > best_within(bounds[1])


def test_every_list_of_a_log_has_a_click() -> None:
    assert click_logs(2000, rng=np.random.default_rng(5), shares=SCARCE)[0].max(axis=1).min() == 1


def test_no_unbiased_estimate_can_be_much_more_exact() -> None:
    """Squared errors over the least possible ones: 1 for the best estimate, 2.1 for the published inverse weights."""
    ratios = []
    for seed in range(30):
        clicks, grades = click_logs(6000, rng=np.random.default_rng(seed))
        missed = np.log1p(errors(dual_learning(clicks, grades).propensity_K))
        ratios.append(missed @ np.linalg.solve(least_errors(grades), missed) / len(missed))
    assert 0.8 < np.mean(ratios) < 1.3


def test_the_least_errors_shrink_with_the_root_of_the_number_of_lists() -> None:
    grades = click_logs(2000, rng=np.random.default_rng(0))[1]
    assert np.allclose(least_errors(np.tile(grades, (4, 1))), least_errors(grades) / 4)


def test_dual_learning_is_exact_on_expected_clicks() -> None:
    grades = click_logs(3000, rng=np.random.default_rng(3), ranker=1.0)[1]
    found = dual_learning(EXAM_K * CLICKED_Y[grades], grades)
    assert np.abs(errors(found.propensity_K)).max() < 1e-9


def test_dual_learning_does_not_mind_lists_that_are_clicked_more() -> None:
    rng = np.random.default_rng(4)
    grades = click_logs(3000, rng=rng, ranker=1.0)[1]
    busy = rng.uniform(0.1, 1.0, size=(3000, 1)) * (1 + grades[:, :1])
    assert np.abs(errors(dual_learning(busy * EXAM_K * CLICKED_Y[grades], grades).propensity_K)).max() < 1e-9


def test_clicks_on_shuffled_lists_give_the_propensities() -> None:
    clicks = shuffled_clicks(10_000_000, rng=np.random.default_rng(2))
    assert np.abs(errors(shuffled_ratios(clicks))).max() < 0.01


def test_a_rank_without_clicks_is_refused() -> None:
    clicks = np.ones((5, 3))
    clicks[:, 2] = 0
    with pytest.raises(NotApplicable, match="without a click"):
        dual_learning(clicks, np.zeros((5, 3), dtype=int))


def test_ranks_that_always_show_the_same_are_refused() -> None:
    with pytest.raises(NotApplicable, match="dual learning"):
        dual_learning(np.ones((50, 3)), np.tile([0, 1, 2], (50, 1)))
