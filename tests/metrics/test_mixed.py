"""The mixed model and the contrasts agree on what is planted."""

import numpy as np
import pytest

from vlbias.metrics import contrasts, mixed
from vlbias.metrics._simulate import simulate


def by_metric(found):
    return {e.metric: e for e in found if e.task == "all"}


@pytest.mark.parametrize(("shape", "sign"), [("head", -1), ("neighbour", 1)])
def test_the_slope_agrees_with_the_contrast(rows_of, shape, sign):
    run = simulate(shape, 0.25, n_probes=120, world="clustered", rng=np.random.default_rng(1), n_slots=5)
    rows = rows_of(run)
    slope = by_metric(mixed.measure(rows, rng=np.random.default_rng(0)))["mixed_slope"]
    plain = by_metric(contrasts.measure(rows, rng=np.random.default_rng(0)))["accuracy_slope"]
    assert np.sign(slope.value) == np.sign(plain.value) == sign
    assert (slope.low > 0 or slope.high < 0) == (plain.low > 0 or plain.high < 0)


def test_a_u_has_positive_curvature(rows_of):
    run = simulate("U", 0.35, n_probes=120, world="independent", rng=np.random.default_rng(2), n_slots=5)
    found = by_metric(mixed.measure(rows_of(run), rng=np.random.default_rng(0)))
    assert found["mixed_curvature"].low > 0


def test_whole_clips_are_drawn_when_there_are_too_many_probes():
    cluster = np.repeat(np.arange(300), 3)
    kept = mixed._subset(cluster, rng=np.random.default_rng(0))
    assert 390 <= len(kept) <= mixed.MOST_PROBES
    assert set(np.bincount(cluster[kept])) <= {0, 3}


@pytest.mark.parametrize("table", [np.ones((9, 4)), np.eye(2)])
def test_what_cannot_be_fitted_says_why(answers_of, table):
    assert all(e.value is None and e.notes[0] for e in mixed.measure(answers_of(table), rng=np.random.default_rng(0)))
