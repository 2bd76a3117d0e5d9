"""The corrected range is 0 on the average without an effect, where the plain range never is."""

import numpy as np

from vlbias.metrics import spread
from vlbias.metrics._simulate import simulate
from vlbias.metrics._split_half import corrected_range


def test_the_corrected_range_of_flat_models_is_zero_on_the_average():
    plain, corrected = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        right = simulate("none", 0.0, n_probes=100, world="independent", rng=rng).correct_PS
        corrected.append(corrected_range(right, np.ones(100), rng=rng, splits=20))
        plain.append(np.ptp(right.mean(axis=0)))
    se = np.std(corrected) / np.sqrt(len(corrected))
    assert abs(np.mean(corrected)) < 3.5 * se
    assert np.mean(plain) > 0.08


def test_the_corrected_range_of_a_large_effect_is_the_true_one():
    rng = np.random.default_rng(0)
    run = simulate("neighbour", 0.4, n_probes=2000, world="independent", rng=rng)
    assert abs(corrected_range(run.correct_PS, np.ones(2000), rng=rng) - 0.4) < 0.04


def test_the_corrected_range_stands_beside_its_reference(rows_of):
    run = simulate("head", 0.3, n_probes=80, world="clustered", rng=np.random.default_rng(0))
    found = {e.metric: e for e in spread.measure(rows_of(run), rng=np.random.default_rng(0)) if e.task == "all"}
    one = found["accuracy_range_corrected"]
    assert 10 < one.value < found["accuracy_range"].value
    assert one.reference.p_value < 0.05 and abs(one.reference.mean) < 3
    assert one.low is None and "half" in one.interval


def test_three_clusters_cannot_be_halved(answers_of):
    found = spread.measure(answers_of(np.eye(3)), rng=np.random.default_rng(0))
    one = next(e for e in found if e.metric == "accuracy_range_corrected")
    assert one.value is None and "four clusters" in one.notes[0]


def test_the_range_of_a_curve_has_no_interval_beyond_all_points(answers_of):
    right = np.array([[1, 0], [1, 0], [1, 0], [1, 1], [0, 0], [1, 0]], dtype=float)
    found = {e.metric: e for e in spread.measure(answers_of(right), rng=np.random.default_rng(0))}
    one = found["accuracy_range"]
    assert one.value < 100 and one.high == 100
