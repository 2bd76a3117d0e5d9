"""A run tells which effect it could have found, and that effect is found."""

import numpy as np
import pytest

from vlbias.metrics import detectable
from vlbias.metrics._procedure import decide
from vlbias.metrics._simulate import simulate


def least(rows):
    found = detectable.measure(rows, rng=np.random.default_rng(0))
    return {e.metric.removesuffix("_smallest_detectable_effect"): e for e in found}


def test_the_effect_that_a_run_says_it_finds_is_found_in_about_80_of_100(rows_of):
    rng = np.random.default_rng(1)
    pilot = simulate("none", 0.0, n_probes=150, world="clustered", rng=rng)
    found = least(rows_of(pilot))["accuracy"]
    assert found.n == 150 and 5 < found.value < 25
    hits, n = 0, 60
    for _ in range(n):
        run = simulate("head", found.value / 100, n_probes=150, world="clustered", rng=rng)
        hits += decide(run.correct_PS, run.cluster_P, rng=rng, draws=199).p_value <= 0.05
    assert 0.62 <= hits / n <= 0.95


def test_more_probes_find_less_and_gold_probability_finds_less_than_accuracy(rows_of):
    few, many = (
        least(rows_of(simulate("none", 0.0, n_probes=n, world="independent", rng=np.random.default_rng(n))))
        for n in (60, 240)
    )
    assert few["accuracy"].value > 1.5 * many["accuracy"].value
    assert many["gold_probability"].value < many["accuracy"].value


@pytest.mark.parametrize(
    ("right", "why"), [(np.ones((9, 5)), "no answer changes"), (np.eye(5)[:1], "two clusters"), (np.eye(2), "3 slots")]
)
def test_what_has_no_scatter_has_no_smallest_effect_and_says_why(answers_of, right, why):
    found = least(answers_of(right))["accuracy"]
    assert found.value is None and why in found.notes[0]
