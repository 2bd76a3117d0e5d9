"""Bands hold the whole true curve at once, stay inside 0 and 100, and say where there are none."""

import numpy as np
import pytest

from vlbias.metrics import bands
from vlbias.metrics._simulate import simulate


def band(found, metric="accuracy_band"):
    return [(e.low, e.high) for e in found if e.metric == metric and e.task == "all"]


@pytest.mark.parametrize("metric", ["accuracy_band", "gold_probability_band"])
def test_the_whole_true_curve_is_inside_in_most_runs(rows_of, metric):
    inside = 0
    for seed in range(24):
        run = simulate("head", 0.2, n_probes=60, world="clustered", rng=np.random.default_rng(seed), n_slots=4)
        truth = 100 * (run.accuracy_S if metric == "accuracy_band" else run.gold_S)
        limits = band(bands.measure(rows_of(run), rng=np.random.default_rng(seed)), metric)
        inside += all(low <= t <= high for (low, high), t in zip(limits, truth, strict=True))
    assert inside >= 20


def test_a_band_is_wider_than_pointwise_normal_limits(rows_of):
    run = simulate("none", 0.0, n_probes=200, world="independent", rng=np.random.default_rng(0))
    mean, se = run.correct_PS[:, 0].mean(), run.correct_PS[:, 0].std() / np.sqrt(200)
    low, high = band(bands.measure(rows_of(run), rng=np.random.default_rng(0)))[0]
    assert low < 100 * (mean - 2.3 * se) and high > 100 * (mean + 2.3 * se)


def test_a_slot_that_is_always_right_has_an_exact_lower_limit(answers_of):
    right = np.random.default_rng(0).random((50, 3)) < [1.0, 0.5, 0.98]
    found = bands.measure(answers_of(right), rng=np.random.default_rng(0))
    (low, high), *_ = band(found)
    assert (low, high) == (pytest.approx(100 * (0.05 / 6) ** (1 / 50)), 100)
    assert all(0 <= low < high <= 100 for low, high in band(found))


def test_one_cluster_has_no_band_and_says_why(answers_of):
    found = bands.measure(answers_of(np.eye(4), per=4), rng=np.random.default_rng(0))
    assert all(e.value is None and "two clusters" in e.notes[0] for e in found)
    assert bands.measure([], rng=np.random.default_rng(0)) == []
