"""Asking both orders of content finds a preference for a place more often than asking one."""

import numpy as np
import pytest
from scipy import special, stats

from vlbias.metrics import _order_designs
from vlbias.metrics._order_designs import design


def test_both_orders_find_a_preference_more_often_than_one_order_of_as_many_answers() -> None:
    for n_pairs in (50, 120):
        for index in (0.086, 0.171):
            found = design(n_pairs, index)
            assert found.both_orders > found.one_order_twice_the_pairs > found.one_order


def test_without_a_preference_no_design_alarms_more_often_than_its_level() -> None:
    for n_pairs in (50, 120):
        assert all(0.04 < share < 0.07 for share in design(n_pairs, 0.0).powers)


def test_contents_of_one_worth_gain_nothing_by_both_orders() -> None:
    found = design(120, 0.171, spread=0.0)
    assert found.both_orders == pytest.approx(found.one_order_twice_the_pairs, abs=0.05)


def test_the_exact_power_is_what_simulated_pairs_give() -> None:
    rng, n_pairs, n_sets, index = np.random.default_rng(0), 120, 2000, 0.171
    gamma = _order_designs._gamma(index, _order_designs.SPREAD)
    worth = rng.normal(0, _order_designs.SPREAD, (n_sets, n_pairs))
    first = rng.random(worth.shape) < special.expit(worth + gamma)
    second = rng.random(worth.shape) < special.expit(-worth + gamma)
    assert 2 * first.mean() - 1 == pytest.approx(index, abs=0.01)
    heads, neighbours = (first & second).sum(axis=1), (~first & ~second).sum(axis=1)
    n, low = heads + neighbours, np.minimum(heads, neighbours)
    mid_p = 2 * stats.binom.cdf(low, n, 0.5) - stats.binom.pmf(low, n, 0.5)
    assert design(n_pairs, index).both_orders == pytest.approx((mid_p < 0.05).mean(), abs=0.025)
