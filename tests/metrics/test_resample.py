"""Draws keep clusters whole, have the right spread, and are shared by tables of equally many clusters."""

import numpy as np
import pytest

from vlbias.metrics import _resample
from vlbias.metrics._resample import Resampling, mid_quantiles


def test_tables_of_equally_many_clusters_share_their_draws_and_others_do_not():
    drawn = Resampling(np.random.default_rng(0), bootstraps=50, permutations=50)
    table = np.random.default_rng(1).normal(size=(30, 4))
    one, two = drawn.sums(table), drawn.sums(2 * table)
    assert np.allclose(two, 2 * one)
    assert not np.allclose(drawn.sums(table[:29])[:, 0], one[:, 0])
    assert np.array_equal(drawn.curves(table), drawn.curves(table))


def test_a_bootstrap_draws_as_many_clusters_as_there_are_with_the_right_spread():
    values = np.random.default_rng(1).normal(size=(40, 1))
    drawn = Resampling(np.random.default_rng(0), bootstraps=4000).sums(np.column_stack([values, np.ones(40)]))
    assert np.all(drawn[:, 1] == 40)
    assert drawn[:, 0].std() == pytest.approx(np.sqrt(40) * values.std(), rel=0.05)


def test_draws_that_are_too_many_to_keep_are_made_in_parts(monkeypatch):
    monkeypatch.setattr(_resample, "CHUNK_NUMBERS", 100)
    monkeypatch.setattr(_resample, "KEPT_NUMBERS", 100)
    drawn = Resampling(np.random.default_rng(0), bootstraps=33, permutations=33)
    assert drawn.sums(np.ones((20, 1))).tolist() == [[20.0]] * 33
    assert drawn.variants(np.ones((20, 3, 1))).tolist() == [[20.0]] * 33


def test_a_permuted_curve_keeps_the_sum_of_its_cluster():
    table = np.random.default_rng(1).normal(size=(12, 5))
    found = Resampling(np.random.default_rng(0), permutations=40).curves(table)
    assert np.allclose(found.sum(axis=1), table.sum())
    assert found.std(axis=0).min() > 0


def test_no_cluster_cannot_be_drawn():
    with pytest.raises(ValueError, match="found none"):
        Resampling(np.random.default_rng(0)).sums(np.zeros((0, 2)))


def test_a_quantile_counts_ties_half():
    values = np.repeat([1.0, 2.0, 4.0], [2, 6, 2])
    assert mid_quantiles(values, (0.1, 0.5, 0.9)).tolist() == [1.0, 2.0, 4.0]
    assert mid_quantiles(values, (0.3, 0.0, 1.0)).tolist() == pytest.approx([1.5, 1.0, 4.0])
    assert mid_quantiles(values + 1e-13 * np.arange(10), (0.5,)) == pytest.approx(2.0)


def test_without_ties_it_is_the_usual_quantile():
    values = np.random.default_rng(1).normal(size=999)
    levels = (0.025, 0.5, 0.975)
    assert mid_quantiles(values, levels) == pytest.approx(np.quantile(values, levels, method="hazen"))
