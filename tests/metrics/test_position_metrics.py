"""Planted curves come back, chance stays chance, and nothing is said where nothing is known."""

from dataclasses import replace

import numpy as np
import pytest

from vlbias.answers import Failure
from vlbias.metrics import contrasts, curve, failures, flips, levelgauge, shape, spread
from vlbias.metrics._blocks import blocks, right_points
from vlbias.metrics._position_test import position_test
from vlbias.metrics._resample import Resampling

ALL = [curve, contrasts, flips, spread, shape, levelgauge, failures]
X = np.linspace(0, 1, 10)


def planted(curve_P, n=400, seed=0):
    return np.random.default_rng(seed).random((n, len(curve_P))) < curve_P


def value(estimates, metric, *, slot=None, task="all"):
    (one,) = [e for e in estimates if (e.metric, e.slot, e.task) == (metric, slot, task)]
    return one


@pytest.mark.parametrize(
    ("curve_P", "label"),
    [
        (0.8 - 0.3 * X, "head"),
        (0.5 + 0.3 * X, "neighbour"),
        (0.4 + 1.4 * (X - 0.5) ** 2, "U"),
        (0.8 - 1.4 * (X - 0.5) ** 2, "inverted U"),
        (0.5 + 0.2 * np.array([-0.7, 0.7, 1, -0.2, -0.8, -0.8, -0.2, 1, 0.7, -0.7]), "volatile"),
    ],
)
def test_planted_shape_is_named(answers_of, curve_P, label):
    found = shape.measure(answers_of(planted(curve_P)), rng=np.random.default_rng(1))
    assert value(found, "shape").label == label


def test_constant_model_has_exactly_no_effect_and_no_shape(answers_of):
    right = np.repeat(np.arange(200)[:, None] % 3 > 0, 10, axis=1)
    outcomes, rng = answers_of(right), np.random.default_rng(0)
    assert value(contrasts.measure(outcomes, rng=rng), "accuracy_slope").value == 0.0
    assert value(spread.measure(outcomes, rng=rng), "accuracy_range").value == 0.0
    assert value(flips.measure(outcomes, rng=rng), "flip_rate").value == 0.0
    assert value(shape.measure(outcomes, rng=rng), "shape").label == "none"


def test_few_probes_are_never_called_unbiased(answers_of):
    found = shape.measure(answers_of(planted(np.full(10, 0.6), n=40)), rng=np.random.default_rng(0))
    assert value(found, "shape").label == "undetermined"


def test_curve_and_slope_equal_plain_numpy(answers_of):
    right = planted(0.8 - 0.3 * X)
    outcomes, rng = answers_of(right), np.random.default_rng(0)
    found = curve.measure(outcomes, rng=rng)
    for slot in range(10):
        assert value(found, "accuracy", slot=slot).value == pytest.approx(100 * right[:, slot].mean())
    slope = value(contrasts.measure(outcomes, rng=rng), "accuracy_slope")
    assert slope.value == pytest.approx(np.polyfit(X, 100 * right.mean(axis=0), 1)[0])
    assert slope.low < -30 < slope.high


def test_mirrored_answers_mirror_the_ends(answers_of):
    right = planted(0.8 - 0.3 * X)
    there = contrasts.measure(answers_of(right), rng=np.random.default_rng(0))
    back = contrasts.measure(answers_of(right[:, ::-1]), rng=np.random.default_rng(0))
    ends = "accuracy_head_minus_middle", "accuracy_neighbour_minus_middle"
    assert value(there, ends[0]).value == pytest.approx(value(back, ends[1]).value)
    assert value(there, "accuracy_slope").value == pytest.approx(-value(back, "accuracy_slope").value)


def test_order_of_the_outcomes_changes_nothing(answers_of):
    outcomes = answers_of(planted(0.8 - 0.3 * X, n=60), np.ones(60))
    for metric in ALL:
        one = metric.measure(outcomes, rng=np.random.default_rng(3))
        assert one == metric.measure(outcomes[::-1], rng=np.random.default_rng(3))


@pytest.mark.parametrize("per", [1, 3])
def test_gate_rejects_a_flat_model_in_about_five_of_a_hundred(answers_of, per):
    rng, hits, runs = np.random.default_rng(7), 0, 120
    for _ in range(runs):
        shared = rng.random((40, 1, 6)) if per > 1 else rng.random((40, 3, 6))
        noise = 0.6 * rng.random((40, 3, 6)) + 0.4 * shared
        sums = 100.0 * (noise < 0.5).sum(axis=1)
        hits += position_test(sums, np.full(40, 3.0), drawn=Resampling(rng, permutations=199)).p_any <= 0.05
    assert 0.005 <= hits / runs <= 0.12


@pytest.mark.parametrize("metric", ALL, ids=lambda m: m.__name__.split(".")[-1])
@pytest.mark.parametrize("shape_NP", [(1, 10), (5, 10), (6, 2), (4, 50), (3, 1)])
@pytest.mark.parametrize("right", [0, 1])
def test_degenerate_tables_give_no_warning(answers_of, metric, shape_NP, right):
    for alone in (None, np.full(shape_NP[0], right)):
        metric.measure(answers_of(np.full(shape_NP, right), alone), rng=np.random.default_rng(0))
    assert metric.measure([], rng=np.random.default_rng(0)) == []


def test_no_gold_gives_no_accuracy_and_says_so(answers_of):
    found = curve.measure(answers_of(np.ones((5, 4)), gold=None), rng=np.random.default_rng(0))
    overall = value(found, "accuracy")
    assert overall.value is None
    assert any("no gold" in note for note in overall.notes)


def test_probe_with_a_failed_slot_leaves_the_curve_and_is_counted(answers_of):
    outcomes = answers_of(planted(np.full(4, 0.5), n=10))
    outcomes[5] = Failure(asked=outcomes[5].asked, kind="parse", reason="unclear")
    found = blocks(outcomes, right_points)
    assert found.n == 9
    assert "1 of 10" in found.notes[0]
    rate = value(failures.measure(outcomes, rng=np.random.default_rng(0)), "unparsed_rate", slot=1)
    assert rate.value == pytest.approx(10.0)


def test_failures_at_one_slot_fire_the_attrition_test_and_withhold_the_shape(answers_of):
    outcomes = answers_of(planted(0.8 - 0.3 * X, n=200))
    for k in range(7, 600, 10):
        outcomes[k] = Failure(asked=outcomes[k].asked, kind="decode", reason="damaged")
    p_value = value(failures.measure(outcomes, rng=np.random.default_rng(0)), "attrition_test").value
    assert p_value is not None and p_value < 0.01
    found = value(shape.measure(outcomes, rng=np.random.default_rng(0)), "shape")
    assert found.label == "undetermined"
    assert "withheld" in found.notes[0]


def test_slots_that_nobody_was_asked_about_are_not_missing(answers_of):
    outcomes = answers_of(planted(np.full(6, 0.5), n=40))
    chosen = [o for o in outcomes if o.asked.slot in (0, 1, 3)]
    found = value(failures.measure(chosen, rng=np.random.default_rng(0)), "attrition_test")
    assert found.value == 1.0
    lost = [o for o in chosen if o.asked.slot != 3 or int(o.asked.probe_id[1:]) % 2]
    assert value(failures.measure(lost, rng=np.random.default_rng(0)), "attrition_test").value < 0.01


def test_levelgauge_from_answers_is_relative_to_the_probe_alone(answers_of):
    right, alone = planted(0.6 - 0.2 * X, n=200), planted(np.array([0.8]), n=200)[:, 0]
    found = levelgauge.measure(answers_of(right, alone), rng=np.random.default_rng(0))
    tasks = [slice(0, None, 2), slice(1, None, 2)]
    meta = np.mean([alone[t].mean() for t in tasks])
    rs = 100 * np.mean([right[t].mean(axis=0) for t in tasks], axis=0) / meta
    assert value(found, "levelgauge_Pran").value == pytest.approx(np.ptp(rs))
    assert value(found, "levelgauge_CM").value == pytest.approx(4 * np.ptp(rs) + 3 * (100 - rs.mean()) + 3 * rs.var())
    assert value(found, "levelgauge_Pran").reference is not None


@pytest.mark.parametrize("alone", [None, np.zeros(8)])
def test_levelgauge_without_a_base_has_no_value(answers_of, alone):
    found = levelgauge.measure(answers_of(np.ones((8, 5)), alone), rng=np.random.default_rng(0))
    made = value(found, "levelgauge_CM")
    assert made.value is None
    assert made.notes


def test_flip_rate_counts_probes_and_pairs(answers_of):
    right = np.array([[1, 1, 1], [1, 0, 1], [0, 0, 0], [0, 0, 1]])
    found = flips.measure(answers_of(right), rng=np.random.default_rng(0))
    assert value(found, "flip_rate").value == pytest.approx(50.0)
    assert value(found, "flip_rate_pairs").value == pytest.approx(100 / 3)
    assert replace(value(found, "flip_rate"), value=None).n == 4
