"""Bias vectors of two runs come out as alike as they are, beside what noise leaves of a perfect likeness."""

import numpy as np
import pytest

from vlbias.likeness import Curve, likeness, vector

U10 = 12.0 * np.linspace(-1, 1, 10) ** 2
HEAD10 = np.linspace(8.0, -8.0, 10)


def run(
    name: str, bias: np.ndarray, *, seed: int, clusters: int = 60, noise: float = 12.0, shared: float = 0.0
) -> Curve:
    """Clusters of two probes; `shared` is noise of a clip at a slot that all runs of the same clips have in common."""
    own, common = np.random.default_rng(seed), np.random.default_rng(99)
    n_slots = len(bias)
    value = 60 + bias + noise * own.normal(size=(clusters, n_slots)) + shared * common.normal(size=(clusters, n_slots))
    return Curve(
        run_name=name, sums_GP=2 * value, n_G=np.full(clusters, 2.0),
        cluster_G=tuple(f"c{k:03d}" for k in range(clusters)), outcome="accuracy",
    )  # fmt: skip


def test_two_runs_of_one_bias_reach_the_ceiling() -> None:
    found = likeness(run("a", U10, seed=1), run("b", U10, seed=2), rng=np.random.default_rng(0))
    assert found.pearson.value is not None and found.pearson_ceiling is not None
    assert found.pearson.value == pytest.approx(found.pearson_ceiling, abs=0.12)
    assert found.pearson.low is not None and found.pearson.low > 0.4 and found.pearson_ceiling < 0.99
    assert found.pearson.reference is not None and found.pearson.reference.p_value == pytest.approx(0.0, abs=0.01)
    assert found.spearman.value is not None and found.spearman.value > 0.5


def test_opposite_and_unrelated_biases_are_not_alike() -> None:
    opposite = likeness(run("a", HEAD10, seed=1), run("b", -HEAD10, seed=2), rng=np.random.default_rng(0)).pearson
    assert opposite.high is not None and opposite.high < -0.4
    other = likeness(run("a", HEAD10, seed=1), run("b", U10 - U10.mean(), seed=2), rng=np.random.default_rng(0)).pearson
    assert other.value is not None and abs(other.value) < 0.35


def test_what_runs_share_by_their_clips_is_no_likeness() -> None:
    """Plain correlation of the two vectors is high, because the same clips were hard at the same slots."""
    flat = np.zeros(10)
    pairs = [(run("a", flat, seed=s, shared=30.0), run("b", flat, seed=s + 1, shared=30.0)) for s in (1, 3)]
    plain = [np.corrcoef(a.bias_P, b.bias_P)[0, 1] for a, b in pairs]
    assert min(plain) > 0.7
    for a, b in pairs:
        found = likeness(a, b, rng=np.random.default_rng(0))
        assert found.pearson.value is not None and found.pearson.value < 0.3


def test_runs_of_other_lengths_are_compared_by_relative_place() -> None:
    found = likeness(
        run("a", HEAD10, seed=1), run("b", np.linspace(8.0, -8.0, 4), seed=2), rng=np.random.default_rng(0)
    )
    assert found.n_slots == 4 and found.pearson.value is not None and found.pearson.value > 0.8
    assert np.allclose(run("a", HEAD10, seed=1, noise=0.0).on(4).bias_P, np.linspace(8.0, -8.0, 4))


def test_a_flat_run_without_noise_has_no_vector_to_compare() -> None:
    found = likeness(run("a", np.zeros(5), seed=1, noise=0.0), run("b", U10[:5], seed=2), rng=np.random.default_rng(0))
    assert found.pearson.value is None and "does not vary" in found.pearson.notes[0] and found.pearson_ceiling is None


def test_the_interval_of_a_bias_vector_holds_the_truth() -> None:
    points = vector(run("a", HEAD10, seed=5), rng=np.random.default_rng(0))
    inside = [e.low <= t <= e.high for e, t in zip(points, HEAD10) if e.low is not None and e.high is not None]
    assert len(inside) == 10 and sum(inside) >= 8
    assert sum(e.value or 0.0 for e in points) == pytest.approx(0.0, abs=1e-9)
