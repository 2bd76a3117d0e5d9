"""Flips over slots stand beside flips of the same trial asked again; repeats enter no other number."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vlbias import session
from vlbias.config import RunConfig
from vlbias.metrics import curve, failures, flips
from vlbias.metrics._blocks import blocks, repeats, right_points
from vlbias.plan import plan
from vlbias.store import read


def again(row, k=1, **changes):
    factors = (*row.asked.factors, ("repeat", str(k)))
    asked = replace(row.asked, trial_id=f"{row.asked.trial_id}/repeat{k}", factors=factors)
    return replace(row, asked=asked, **changes)


def value(found, metric, task="all"):
    (one,) = [e for e in found if (e.metric, e.task) == (metric, task)]
    return one


def test_repeats_that_agree_leave_all_flips_to_the_slots(answers_of):
    right = np.array([[1, 0, 1], [1, 1, 1], [0, 0, 1], [1, 0, 0]])
    rows = answers_of(right)
    found = flips.measure([*rows, *(again(r) for r in rows[::3])], rng=np.random.default_rng(0))
    assert value(found, "flip_rate_of_repeats").value == 0.0
    assert value(found, "flip_rate_beyond_repeats").value == value(found, "flip_rate_pairs").value
    assert value(found, "flip_rate").notes == ()


def test_repeats_that_flip_as_often_as_slots_leave_nothing(answers_of):
    rng = np.random.default_rng(0)
    rows = answers_of(rng.random((400, 4)) < 0.5)
    noisy = [again(r, k, chosen=int(rng.random() < 0.5)) for r in rows[::4] for k in (1, 2)]
    found = value(flips.measure([*rows, *noisy], rng=rng), "flip_rate_beyond_repeats")
    assert found.low < 0 < found.high and abs(found.value) < 6
    assert found.n == 400


def test_without_repeats_the_noise_is_said_to_be_included(answers_of):
    found = flips.measure(answers_of(np.eye(3)), rng=np.random.default_rng(0))
    assert "decoding noise is included" in value(found, "flip_rate").notes[0]
    assert not any("repeats" in e.metric for e in found)


def test_repeats_enter_no_other_number(answers_of):
    rows = answers_of(np.random.default_rng(0).random((30, 4)) < 0.6)
    more = [*rows, *(again(r, chosen=1 - r.chosen) for r in rows[::5])]
    assert np.array_equal(blocks(more, right_points).values_NP, blocks(rows, right_points).values_NP)
    for metric in (curve, failures):
        assert metric.measure(more, rng=np.random.default_rng(1)) == metric.measure(rows, rng=np.random.default_rng(1))


@pytest.mark.parametrize(("noise", "flipped"), [("independent", True), ("shared", False)])
def test_a_run_with_repeats_tells_luck_from_position(tmp_path: Path, noise: str, flipped: bool) -> None:
    arguments = {"profile": "0.9:0.5:0.5:0.5:0.5:0.5:0.5:0.5:0.5:0.5", "noise": noise}
    one = RunConfig(tasks="drawn", model="scripted", model_args=arguments, limit="60", batch_size=900, repeats=2)
    session.ask(one, plan(one), folder=tmp_path / "run")
    rows = read(tmp_path / "run").outcomes
    assert len(repeats(rows)) == 120
    found = flips.measure(rows, rng=np.random.default_rng(0))
    assert (value(found, "flip_rate_of_repeats").value > 20) is flipped
    assert value(found, "flip_rate_beyond_repeats").low > (-15 if flipped else 3)
