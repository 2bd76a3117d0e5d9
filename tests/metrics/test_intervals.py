"""Intervals hold the truth with few clusters too, are exact at the ends, and say where there are none."""

import numpy as np
import pytest

from vlbias.metrics._few_clusters import FewClusters, held
from vlbias.metrics._intervals import (
    CONSTANT,
    EXACT,
    FLATTER,
    ONE_CLUSTER,
    SAME_CURVE,
    SCORE,
    bounded_mean,
    effect_size,
    jackknife_se,
    score_interval,
)
from vlbias.metrics._simulate import simulate


def test_the_score_interval_is_wilsons():
    low, high = score_interval(0.9, np.sqrt(0.09 / 100), z=1.96)
    assert (low, high) == (pytest.approx(0.8256, abs=1e-3), pytest.approx(0.9448, abs=1e-3))


@pytest.mark.parametrize(("n_clusters", "share"), [(12, 0.65), (20, 0.9)])
def test_few_clusters_are_covered_in_about_95_of_100_and_better_than_by_t(n_clusters, share):
    found = held(FewClusters(n_clusters=n_clusters, share=share), n=600, seed=1)
    rate = {method: found.held[method] / found.made[method] for method in found.made}
    assert 0.93 <= rate["score"] <= 0.985
    assert rate["t"] < rate["score"]


def test_a_share_of_all_or_none_is_exact():
    sums, sizes = np.full(20, 300.0), np.full(20, 3.0)
    assert bounded_mean(sums, sizes) == ((pytest.approx(100 * 0.025 ** (1 / 20)), 100.0), EXACT)
    limits, how = bounded_mean(np.zeros(20), sizes)
    assert limits == (0.0, pytest.approx(100 - 100 * 0.025 ** (1 / 20))) and how == EXACT


def test_one_cluster_and_equal_clusters_have_no_interval():
    assert bounded_mean(np.array([50.0]), np.ones(1)) == (None, ONE_CLUSTER)
    assert bounded_mean(np.full(9, 50.0), np.ones(9)) == (None, CONSTANT)


def test_limits_stay_within_the_bounds_and_follow_their_scale():
    share, how = bounded_mean(np.array([1.0, 0, 1, 1, 1]), np.ones(5), bounds=(0.0, 1.0))
    points, _ = bounded_mean(np.array([100.0, -100, 100, 100, 100]), np.ones(5), bounds=(-100.0, 100.0))
    assert how == SCORE and 0 < share[0] < 0.8 < share[1] < 1
    assert points == pytest.approx([200 * limit - 100 for limit in share])


def test_the_jackknife_leaves_out_each_cluster_in_turn():
    rng = np.random.default_rng(0)
    sums, sizes = rng.normal(size=(7, 2)), rng.integers(1, 5, size=7).astype(float)
    left = np.array([(sums.sum(0) - sums[g]) / (sizes.sum() - sizes[g]) for g in range(7)])
    wanted = np.sqrt(6 / 7 * ((left - sums.sum(0) / sizes.sum()) ** 2).sum(0))
    assert jackknife_se(sums, sizes) == pytest.approx(wanted)


@pytest.mark.parametrize(("shape", "amplitude"), [("none", 0.0), ("U", 0.15)])
def test_the_interval_of_the_size_of_an_effect_holds_the_truth(shape, amplitude):
    rng, hits, n = np.random.default_rng(2), 0, 120
    for _ in range(n):
        run = simulate(shape, amplitude, n_probes=150, world="independent", rng=rng)
        _, limits, how = effect_size(run.correct_PS, np.ones(150))
        if limits is None:
            assert how == FLATTER and shape == "none"
            n -= 1
            continue
        (low, high), truth = limits, run.accuracy_S.std()
        hits += low <= truth + 1e-12 and truth <= high
        assert 0 <= low < high
    assert 0.89 <= hits / n <= 0.995


def test_curves_that_are_equal_in_every_cluster_have_no_size_with_noise():
    size, limits, how = effect_size(np.tile([1.0, 2, 3], (5, 1)), np.ones(5))
    assert (size, limits, how) == (pytest.approx(np.sqrt(2 / 3)), None, SAME_CURVE)
