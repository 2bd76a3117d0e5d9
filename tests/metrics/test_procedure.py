"""The decision procedure keeps its level, finds planted shapes, and says why where it cannot decide."""

import numpy as np
import pytest

from vlbias.metrics._posterior import posterior, shrunk_covariance, templates
from vlbias.metrics._procedure import decide, two_lines, unavailable
from vlbias.metrics._resample import rotations, variant_sums
from vlbias.metrics._simulate import SHAPES, WORLDS, draw_profile, simulate


def decided(shape, amplitude, *, n, world, seed):
    rng = np.random.default_rng([seed, n])
    found = simulate(shape, amplitude, n_probes=n, world=world, rng=rng)
    return decide(found.correct_PS, found.cluster_P, rng=rng, draws=199)


@pytest.mark.parametrize("world", WORLDS)
def test_a_flat_model_rarely_passes_the_gate(world):
    hits = sum(decided("none", 0.0, n=120, world=world, seed=s).p_value <= 0.05 for s in range(100))
    assert hits <= 13  # 99.9 % range of a binomial at .05


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("shape", SHAPES[1:])
def test_a_large_planted_shape_is_named_in_most_runs(world, shape):
    found = [decided(shape, 0.2, n=300, world=world, seed=s).label for s in range(12)]
    assert found.count(shape) >= 10


def test_a_large_flat_run_is_shown_to_be_none_within_the_margin():
    found = [decided("none", 0.0, n=1177, world="independent", seed=s) for s in range(12)]
    assert sum(d.label == "none" for d in found) >= 10
    assert all(d.confidence >= 0.95 for d in found if d.label == "none")


def test_a_small_flat_run_is_undetermined_and_says_what_it_could_find():
    found = decided("none", 0.0, n=60, world="clustered", seed=0)
    assert (found.label, found.confidence) == ("undetermined", None)
    assert found.smallest_detectable > 0.05
    assert "smallest detectable" in found.reason


def test_an_effect_of_the_whole_margin_is_rarely_called_none():
    found = [decided("head", 0.09, n=300, world="sticky", seed=s).label for s in range(40)]
    assert found.count("none") <= 4


def test_the_mirrored_table_has_the_mirrored_label():
    rng = np.random.default_rng(0)
    run = simulate("head", 0.2, n_probes=300, world="independent", rng=rng)
    there = decide(run.correct_PS, run.cluster_P, rng=np.random.default_rng(1))
    back = decide(run.correct_PS[:, ::-1], run.cluster_P, rng=np.random.default_rng(1))
    assert (there.label, back.label) == ("head", "neighbour")
    assert there.confidence == pytest.approx(back.confidence)


def test_contrasts_and_posterior_add_up():
    found = decided("U", 0.2, n=300, world="independent", seed=1)
    value = {c.name: c.value for c in found.contrasts}
    assert value["middle_minus_ends"] == pytest.approx(
        -(value["head_minus_middle"] + value["neighbour_minus_middle"]) / 2
    )
    assert sum(p for _, p in found.posterior) == pytest.approx(1)
    assert found.p_two_lines < 0.05


@pytest.mark.parametrize(
    ("table", "cluster", "why"),
    [
        (np.ones((9, 5)), np.arange(9), "all 45 values are equal"),
        (np.eye(5), np.zeros(5), "share one cluster"),
        (np.eye(2), np.arange(2), "needs three"),
        (np.zeros((0, 5)), np.zeros(0), "no probe"),
    ],
)
def test_what_cannot_be_decided_says_why(table, cluster, why):
    found = decide(table, cluster.astype(int), rng=np.random.default_rng(0))
    assert (found.label, found.confidence, found.p_value) == ("undetermined", None, None)
    assert why in found.reason and unavailable(table, cluster)


def test_a_missing_value_is_refused():
    with pytest.raises(ValueError, match="finite"):
        decide(np.full((4, 4), np.nan), np.arange(4), rng=np.random.default_rng(0))


def test_rotations_are_a_group_that_begins_with_no_change():
    turned = {tuple(r) for r in rotations(6)}
    assert len(turned) == 12 and tuple(rotations(6)[0]) == tuple(range(6))
    assert {tuple(np.array(a)[list(b)]) for a in turned for b in turned} == turned


def test_few_clusters_are_enumerated_and_many_are_drawn():
    table = np.random.default_rng(0).normal(size=(2, 3, 4))
    found = variant_sums(table, rng=np.random.default_rng(0), draws=50)
    every = [table[0, a] + table[1, b] for a in range(3) for b in range(3)]
    assert np.allclose(sorted(map(tuple, found)), sorted(map(tuple, every[1:])))
    assert variant_sums(np.zeros((9, 3, 4)), rng=np.random.default_rng(0), draws=50).shape == (50, 4)


@pytest.mark.parametrize("world", WORLDS)
def test_simulated_answers_have_the_curve_that_is_said_to_be_true(world):
    run = simulate("head", 0.3, n_probes=40_000, world=world, rng=np.random.default_rng(3))
    assert np.allclose(run.correct_PS.mean(axis=0), run.accuracy_S, atol=0.015)
    assert np.allclose(run.gold_PS.mean(axis=0), run.gold_S, atol=0.015)
    assert np.ptp(run.accuracy_S) == pytest.approx(0.3)


def test_worlds_differ_in_what_noise_is_shared():
    sticky, independent = (
        simulate("none", 0.0, n_probes=3000, world=w, rng=np.random.default_rng(0)).correct_PS
        for w in ("sticky", "independent")
    )
    assert sticky.var(axis=1).mean() < 0.5 * independent.var(axis=1).mean()
    shared = simulate("none", 0.0, n_probes=3000, world="clustered", rng=np.random.default_rng(0))
    assert 1000 <= len(np.unique(shared.cluster_P)) <= 1111


def test_unknown_shapes_and_worlds_are_refused():
    with pytest.raises(ValueError, match="unknown shape"):
        draw_profile("wave", n_slots=5, rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match="unknown world"):
        simulate("head", 0.1, n_probes=5, world="calm", rng=np.random.default_rng(0))


def test_posterior_prefers_the_family_of_the_curve():
    noise = np.full(10, 0.01**2)
    for shape, curves in templates(10).items():
        weight = posterior(0.12 * curves[0], np.diag(noise), margin=0.05)
        assert max(weight, key=weight.get) == shape


def test_shrinkage_keeps_the_trace_and_makes_few_clusters_invertible():
    score = np.random.default_rng(0).normal(size=(5, 10))
    score -= score.mean(axis=1, keepdims=True)
    found = shrunk_covariance(score, 5.0)
    assert np.trace(found) == pytest.approx((score**2).sum() * 5 / 4 / 25)
    assert np.linalg.matrix_rank(found) == 9


def test_two_lines_need_both_ends():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(200, 9))
    bowl, slope = np.linspace(-1, 1, 9) ** 2, np.linspace(-1, 1, 9)
    ones = np.ones(200)
    assert two_lines(noise + bowl, ones, shape="U") < 0.01
    assert two_lines(noise + bowl, ones, shape="inverted U") > 0.9
    assert two_lines(noise + slope, ones, shape="U") > 0.05


def test_a_steep_u_within_every_planned_contrast_is_not_called_none():
    rng, n = np.random.default_rng(0), 40_000
    curve = 0.06 * np.array([1.0, 0.25, 0, 0, 0, 0, 0, 0, 0.05, 0.5])
    right = (rng.random((n, 10)) < 0.6 + curve).astype(float)
    # Level 0 shuts the gate, so only the equivalence is asked.
    steep = decide(right, np.arange(n), rng=rng, level=0.0, draws=99)
    assert all(max(abs(c.low), abs(c.high)) < 0.05 for c in steep.contrasts)
    assert steep.label == "undetermined"
    flat = (rng.random((n, 10)) < 0.6).astype(float)
    assert decide(flat, np.arange(n), rng=rng, level=0.0, draws=99).label == "none"


def changing(n_clusters: int, *, n_changing: int, probes: int, size: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Right answers at ten slots, but in some clusters `probes` of `size` probes are wrong at one slot."""
    table = np.ones((n_clusters * size, 10))
    for g in range(n_changing):
        table[g * size : g * size + probes, g % 10] = 0.0
    return table, np.repeat(np.arange(n_clusters), size)


def test_one_changing_probe_of_three_in_few_clusters_is_none_within_the_margin():
    table, cluster = changing(393, n_changing=13, probes=1)
    found = decide(table, cluster, rng=np.random.default_rng(0), draws=199)
    assert found.label == "none" and found.p_equivalence < 0.02
    whole = decide(*changing(393, n_changing=13, probes=3), rng=np.random.default_rng(0), draws=199)
    assert whole.label == "undetermined" and whole.p_equivalence > 0.2


@pytest.mark.parametrize("size", [1, 3])
def test_few_changing_clusters_are_rarely_called_none_where_a_contrast_leaves_the_margin(size):
    rng, called = np.random.default_rng(1), 0
    for _ in range(60):
        # 60 clusters, 12 % of them lose the first two slots: head less middle is -12 points.
        table = np.ones((60 * size, 10))
        lost = np.repeat(rng.random(60) < 0.12, size)
        table[lost, :2] = 0.0
        called += decide(table, np.repeat(np.arange(60), size), rng=rng, draws=99).label == "none"
    assert called <= 6


def test_slots_that_differ_by_what_does_not_matter_are_none_and_say_both():
    rng = np.random.default_rng(4)
    step = np.array([0, 3, -2, 1, -3, 2, -1, 3, -2, -1]) / 1000
    table = np.clip(0.9 + 0.05 * rng.normal(size=(400, 1)) + step + rng.normal(0, 0.005, (400, 10)), 0, 1)
    found = decide(table, np.arange(400) // 2, rng=rng, draws=199)
    assert found.p_value < 0.01 and found.label == "none" and found.confidence > 0.99
    assert "slots differ" in found.reason and "within +-5 points" in found.reason
