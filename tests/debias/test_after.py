"""Calibrations find what was planted, and map what is uniform to uniform."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from vlbias import rooms
from vlbias.answers import Answer
from vlbias.debias import Setting
from vlbias.debias._scores import by_option, gold_place, logprobs, mark
from vlbias.errors import BadInput, NotApplicable

PRIORS = np.array([[0.5, 0.2, 0.2, 0.1], [0.1, 0.6, 0.2, 0.1], [0.25, 0.25, 0.25, 0.25], [0.05, 0.15, 0.3, 0.5]])
ONE = np.array([0.55, 0.2, 0.15, 0.1])
ASKING = ("pride", "bold", "contextual")
LABELLED = ("dla", "vector_per_slot", "temperature_per_slot")
SETTING = Setting(kind="insertion", n_slots=4, n_options=4, logprobs=True, white_box=False, n_fit=40)


@pytest.fixture(scope="module")
def ask(write: Any, trial_of: Any, answered: Any) -> Callable[..., list[Answer]]:
    """The answers of a model to the plain trials, and to what a method asks besides."""

    def make(model: Any, *, probes: range, method: Any = None, slots: Any = (0, 1, 2, 3)) -> list[Answer]:
        out = []
        for i in probes:
            for slot in slots:
                plain = write(trial_of(i, slot, turn=i % 4))
                extra = [] if method is None else method.asks(plain, write=write, rng=np.random.default_rng(0))
                out += [answered(p, model.scores(p)) for p in [plain, *extra]]
        return out

    return make


def rstd(answers: list[Answer]) -> float:
    places = np.array([gold_place(a) for a in answers])
    right = np.array([a.correct for a in answers])
    return float(np.std([100 * right[places == k].mean() for k in range(4)]))


def rstd_by_chance(answers: list[Answer], *, draws: int = 400) -> float:
    """The upper end of the spread of recalls when the place of the right option has no effect."""
    places = np.array([gold_place(a) for a in answers])
    right = np.array([a.correct for a in answers])
    rng = np.random.default_rng(5)
    found = []
    for _ in range(draws):
        shuffled = rng.permutation(places)
        found.append(np.std([100 * right[shuffled == k].mean() for k in range(4)]))
    return float(np.quantile(found, 0.975))


@pytest.mark.parametrize("name", ASKING)
def test_a_planted_prior_of_each_slot_is_found_exactly(name: str, ask: Any, prior_model: Any) -> None:
    method = rooms.find("debias", name).load()
    model = prior_model(lambda slot: PRIORS[slot])
    correction = method.fit(ask(model, probes=range(8), method=method), rng=np.random.default_rng(0))
    table = correction.content_free if name == "contextual" else correction.prior
    for slot in range(4):
        assert np.abs(np.array(table[f"4 options, slot {slot} of 4"]) - PRIORS[slot]).max() < 1e-6


@pytest.mark.parametrize("name", [*ASKING, "dla", "vector_per_slot"])
def test_with_a_planted_prior_recalls_differ_no_more_than_by_chance_after_correction(
    name: str, ask: Any, prior_model: Any
) -> None:
    method = rooms.find("debias", name).load(per_slot=False)
    model = prior_model(lambda _: ONE)
    fit = ask(model, probes=range(100), method=method)
    held_out = ask(model, probes=range(100, 300), slots=(0,))
    correction = method.fit(fit, rng=np.random.default_rng(0))
    after = [correction(a) for a in held_out]
    assert rstd(held_out) > 1.5 * rstd_by_chance(held_out)
    assert rstd(after) <= rstd_by_chance(after)
    assert np.mean([a.correct for a in after]) > np.mean([a.correct for a in held_out])


@pytest.mark.parametrize("matrix", ["diagonal", "identity"])
def test_the_affine_map_makes_the_answer_without_content_uniform(matrix: str, ask: Any, prior_model: Any) -> None:
    method = rooms.find("debias", "contextual").load(matrix=matrix)
    answers = ask(prior_model(lambda slot: PRIORS[slot]), probes=range(8), method=method)
    correction = method.fit(answers, rng=np.random.default_rng(0))
    for answer in answers:
        if mark(answer.asked) is not None:
            assert np.abs(np.exp(logprobs(correction(answer))) - 0.25).max() < 1e-12


def test_the_identity_map_is_the_published_one_up_to_a_constant(ask: Any, prior_model: Any) -> None:
    method = rooms.find("debias", "contextual").load(matrix="identity")
    answers = ask(prior_model(lambda _: ONE), probes=range(8), method=method)
    correction = method.fit(answers, rng=np.random.default_rng(0))
    for answer in answers:
        shares = np.exp(logprobs(answer)) - ONE
        assert correction(answer).chosen == answer.asked.option_order[int(shares.argmax())]


def test_weights_of_attacks_leave_a_prior_alone_that_all_agree_on(ask: Any, prior_model: Any) -> None:
    method = rooms.find("debias", "bold").load(weights="fitted", per_slot=False)
    answers = ask(prior_model(lambda _: ONE), probes=range(20), method=method, slots=(0, 2))
    correction = method.fit(answers, rng=np.random.default_rng(0))
    assert np.abs(np.array(correction.prior["4 options"]) - ONE).max() < 1e-6


def test_the_attack_that_was_not_answered_is_named(ask: Any, prior_model: Any) -> None:
    method = rooms.find("debias", "bold").load()
    answers = ask(prior_model(lambda _: ONE), probes=range(8), method=method, slots=(0, 2))
    kept = [a for a in answers if mark(a.asked) != "content_free:options"]
    with pytest.raises(NotApplicable, match="bold: not applicable: the attack on options has no answer"):
        method.fit(kept, rng=np.random.default_rng(0))


def test_fitted_weights_drop_an_attack_that_misleads(ask: Any, prior_model: Any, write: Any, answered: Any) -> None:
    method = rooms.find("debias", "bold").load(weights="fitted", per_slot=False)
    answers = ask(prior_model(lambda _: ONE), probes=range(80), method=method, slots=(0,))
    wrong = np.log(np.array([0.02, 0.08, 0.1, 0.8]))
    spoilt = []
    for a in answers:
        if mark(a.asked) == "content_free:question":
            a = type(a)(**{**vars(a), "logprobs": tuple(wrong)})
        spoilt.append(a)
    equal = rooms.find("debias", "bold").load(per_slot=False).fit(spoilt, rng=np.random.default_rng(0))
    fitted = method.fit(spoilt, rng=np.random.default_rng(0))
    far, near = (np.abs(np.array(c.prior["4 options"]) - ONE).max() for c in (equal, fitted))
    assert near < far / 2


def test_temperature_changes_no_choice_and_calibrates_each_slot(ask: Any, prior_model: Any) -> None:
    model = prior_model(lambda _: np.full(4, 0.25))
    answers = ask(model, probes=range(200), slots=(0, 1))
    sure = [
        type(a)(**{**vars(a), "logprobs": tuple(np.array(a.logprobs) * (4.0 if a.asked.slot == 0 else 1.0))})
        for a in answers
    ]
    correction = rooms.find("debias", "temperature_per_slot").load().fit(sure, rng=np.random.default_rng(0))
    ratio = correction.scale["4 options, slot 1 of 4"][0] / correction.scale["4 options, slot 0 of 4"][0]
    assert ratio == pytest.approx(4.0, rel=0.35)
    assert all(correction(a).chosen == a.chosen for a in sure)


@pytest.mark.parametrize("name", [*ASKING, *LABELLED])
def test_a_saved_correction_corrects_alike(name: str, ask: Any, prior_model: Any) -> None:
    method = rooms.find("debias", name).load()
    answers = ask(prior_model(lambda slot: PRIORS[slot]), probes=range(16), method=method)
    correction = method.fit(answers, rng=np.random.default_rng(0))
    again = rooms.find("debias", name).load().from_json(json.loads(json.dumps(correction.to_json(), allow_nan=False)))
    assert again(answers[0]) == correction(answers[0])
    with pytest.raises(BadInput):
        method.from_json({"per_slot": True})


@pytest.mark.parametrize("name", [*ASKING, *LABELLED])
def test_a_slot_that_was_not_fitted_is_refused(name: str, ask: Any, prior_model: Any) -> None:
    method = rooms.find("debias", name).load()
    model = prior_model(lambda slot: PRIORS[slot])
    correction = method.fit(ask(model, probes=range(16), method=method, slots=(0, 1)), rng=np.random.default_rng(0))
    (other,) = ask(model, probes=range(1), slots=(3,))
    with pytest.raises(NotApplicable, match="slot 3 of 4"):
        correction(other)


@pytest.mark.parametrize("name", [*ASKING, *LABELLED])
def test_what_a_method_needs_is_said_before_anything_is_asked(name: str) -> None:
    module = rooms.find("debias", name)
    method = module.load()
    method.needs(SETTING)
    with pytest.raises(NotApplicable, match="mode: score"):
        method.needs(Setting(**{**vars(SETTING), "logprobs": False}))
    with pytest.raises(NotApplicable, match="found 3 probes to fit on"):
        method.needs(Setting(**{**vars(SETTING), "n_fit": 3}))
    with pytest.raises(BadInput, match="did you mean per_slot"):
        module.load(perslot=True)


@pytest.mark.parametrize("name", ASKING)
def test_a_method_that_asks_more_is_refused_without_the_model(name: str) -> None:
    with pytest.raises(NotApplicable, match="only stored rows"):
        rooms.find("debias", name).load().needs(Setting(**{**vars(SETTING), "asks_model": False}))


def test_shuffled_options_give_the_propensity_of_places(ask: Any, prior_model: Any) -> None:
    """The mean probability of a place over all rotations; a model that never looks gives its prior itself."""
    method = rooms.find("debias", "dla").load(logs="shuffled", per_slot=False)
    blind = prior_model(lambda _: ONE, strength=0.0)
    blind.scores = lambda _: np.log(ONE)
    answers = ask(blind, probes=range(8), method=method)
    assert np.allclose(method.fit(answers, rng=np.random.default_rng(0)).prior["4 options"], ONE, atol=1e-9)
    seeing = ask(prior_model(lambda _: ONE), probes=range(40), method=method)
    found = np.array(method.fit(seeing, rng=np.random.default_rng(0)).prior["4 options"])
    assert (np.diff(found) < 0).all() and 0.3 < found[0] < ONE[0]
    with pytest.raises(NotApplicable, match="every rotation"):
        method.fit(ask(blind, probes=range(8)), rng=np.random.default_rng(0))
    with pytest.raises(NotApplicable, match="only stored rows"):
        method.needs(Setting(**{**vars(SETTING), "asks_model": False}))


def test_dual_learning_needs_each_place_to_hold_a_right_option(ask: Any, prior_model: Any) -> None:
    answers = [a for a in ask(prior_model(lambda _: ONE), probes=range(40)) if gold_place(a) != 2]
    with pytest.raises(NotApplicable, match="place 3 in 0 fitting probes"):
        rooms.find("debias", "dla").load().fit(answers, rng=np.random.default_rng(0))


def test_a_correction_moves_scores_between_options_not_only_places(ask: Any, prior_model: Any) -> None:
    method = rooms.find("debias", "pride").load()
    answers = ask(prior_model(lambda slot: PRIORS[slot]), probes=range(8), method=method)
    correction = method.fit(answers, rng=np.random.default_rng(0))
    same = [correction(a) for a in answers if a.asked.probe_id == "p0003" and a.asked.slot == 1]
    assert len(same) == 4
    for other in same[1:]:
        assert np.abs(by_option(other) - by_option(same[0])).max() < 1e-9
