"""Calibrations fitted on some source clips and proved on others: what was planted goes, and nothing is made up."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from vlbias import rooms
from vlbias.answers import Answer
from vlbias.proof import gap_weights, prove

STORED = ("dla", "vector_per_slot", "temperature_per_slot")
SEEDS = 8
# The longer the context goes on, the more the first displayed option wins: no prior at the head, a strong one after.
PRIORS = np.array([[0.25, 0.25, 0.25, 0.25], [0.4, 0.2, 0.2, 0.2], [0.7, 0.1, 0.1, 0.1], [0.91, 0.03, 0.03, 0.03]])


@pytest.fixture(scope="module")
def answers(write: Any, trial_of: Any, answered: Any) -> Callable[..., list[Answer]]:
    """The answers of a model to all slots of probes, two probes per source clip, options balanced over slots."""

    def make(model: Any, *, probes: range) -> list[Answer]:
        prompts = [write(trial_of(i, slot, turn=(i // 2 + slot) % 4, per=2)) for i in probes for slot in range(4)]
        return [answered(p, model.scores(p)) for p in prompts]

    return make


def corrected(names: tuple[str, ...], fitting: list[Answer], held_out: list[Answer]) -> dict[str, list[Answer]]:
    found = {}
    for name in names:
        correction = rooms.find("debias", name).load().fit(fitting, rng=np.random.default_rng(0))
        found[name] = [correction(a) for a in held_out]
    return found


def alarms(answers: Any, prior_model: Any, *, seed: int) -> dict[str, bool]:
    """Whether each method lowers accuracy or widens the gap significantly, on a model without bias."""
    model = prior_model(lambda _: np.full(4, 0.25), seed=seed)
    fitting, held_out = answers(model, probes=range(60)), answers(model, probes=range(60, 180))
    proofs = prove(
        held_out, corrected(STORED, fitting, held_out), gap_P=gap_weights(fitting, n_slots=4),
        rng=np.random.default_rng(seed),
    )  # fmt: skip
    wider = {m: p.changes["gap"].p_adjusted < 0.05 for m, p in proofs.items()}
    return {m: bool(p.loses_accuracy or wider[m]) for m, p in proofs.items()}


def test_a_model_without_bias_is_seldom_said_to_be_harmed(answers: Any, prior_model: Any) -> None:
    found = [alarms(answers, prior_model, seed=seed) for seed in range(SEEDS)]
    assert sum(any(one.values()) for one in found) <= 1


def test_a_prior_that_grows_with_the_slot_is_closed_by_a_calibration_per_slot(answers: Any, prior_model: Any) -> None:
    model = prior_model(lambda slot: PRIORS[slot])
    fitting, held_out = answers(model, probes=range(80)), answers(model, probes=range(80, 280))
    names = ("vector_per_slot", "temperature_per_slot")
    proofs = prove(
        held_out, corrected(names, fitting, held_out), gap_P=gap_weights(fitting, n_slots=4),
        rng=np.random.default_rng(1),
    )  # fmt: skip
    vector, temperature = (proofs[name] for name in names)
    assert vector.reduction is not None and vector.reduction[0] >= 0.7
    assert vector.changes["accuracy"].change > 0 and vector.changes["accuracy"].p_adjusted < 0.05
    assert temperature.reduction is not None and temperature.reduction[0] < 0.2
