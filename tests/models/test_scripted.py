"""A model that does what its arguments say."""

import math
from dataclasses import replace

import numpy as np
import pytest

from vlbias.errors import ModelError
from vlbias.models.scripted import ScriptedModel, load
from vlbias.prompts import Style, labels, prompt
from vlbias.records import Fault, OptionScores, Probe, Prompt, Reply, Segment, Trial
from vlbias.replies import parse

N_PROBES, N_SLOTS = 2000, 3
ORDERS = ((0, 1, 2, 3), (1, 2, 3, 0), (2, 3, 0, 1), (3, 0, 1, 2))


def probe(number: int, options: tuple[str, ...] = ("a", "b", "c", "d")) -> Probe:
    return Probe(
        probe_id=f"p{number}", task="t", question="?", options=options, gold=number % len(options),
        evidence=Segment(segment_id="e", path="e.mp4"), backgrounds=(), cluster_id=f"c{number // 4}",
    )  # fmt: skip


def ask(
    of: Probe, slot: int | None = 0, n_slots: int = N_SLOTS, order: tuple[int, ...] = ORDERS[0], **factors
) -> Prompt:
    trial = Trial(
        trial_id=f"{of.probe_id}/{slot}/{order}/{factors}", probe=of, slot=slot, n_slots=n_slots,
        segments=(of.evidence,), option_order=order, factors=tuple((k, str(v)) for k, v in factors.items()),
    )  # fmt: skip
    return prompt(trial, {}, Style())


PROMPTS = [ask(probe(number), slot) for number in range(N_PROBES) for slot in range(N_SLOTS)]
GOLD = np.arange(N_PROBES)[:, None] % 4


def picks(model: ScriptedModel, prompts: list[Prompt]) -> np.ndarray:
    """Displayed indices; -1 where there is no answer."""
    answers = model.score(prompts)
    return np.array([int(np.argmax(a.logprobs)) if isinstance(a, OptionScores) else -1 for a in answers])


def chosen(**arguments) -> np.ndarray:
    return picks(load(**arguments), PROMPTS).reshape(N_PROBES, N_SLOTS)


@pytest.mark.parametrize(
    "more", [{}, {"difficulty": 1.5}, {"noise": "sticky", "difficulty": 1.5}, {"scores": "graded"}]
)
def test_accuracy_per_slot_follows_the_profile_whatever_the_items_and_the_noise(more: dict[str, object]) -> None:
    right = (chosen(profile="1:.6:.3", **more) == GOLD).mean(axis=0)
    assert right[0] == 1.0
    np.testing.assert_allclose(right, [1.0, 0.6, 0.3], atol=0.04)


def test_shared_noise_gives_the_same_answer_at_every_slot() -> None:
    found = chosen(accuracy=0.5, noise="shared")
    assert (found == found[:, :1]).all()
    assert 0.45 < (found == GOLD).mean() < 0.55


def test_sticky_noise_lies_between_independent_and_shared() -> None:
    changes = {
        noise: (np.ptp((chosen(accuracy=0.65, noise=noise) == GOLD).astype(int), axis=1) > 0).mean()
        for noise in ("independent", "sticky", "shared")
    }
    assert changes["shared"] == 0.0
    assert 0.05 < changes["sticky"] < 0.3 < changes["independent"]


def test_questions_of_one_clip_share_their_luck_at_a_slot() -> None:
    def within(correlation: float) -> float:
        right = (chosen(accuracy=0.5, clip_correlation=correlation) == GOLD).astype(float)[:, 0].reshape(-1, 4)
        return float(right.mean(axis=1).var())

    assert within(0.8) > 1.7 * within(0.0)


def test_harder_items_are_wrong_at_every_slot() -> None:
    def between(difficulty: float) -> float:
        return float((chosen(accuracy=0.65, difficulty=difficulty) == GOLD).mean(axis=1).var())

    assert between(3.0) > 1.5 * between(0.0)


def test_a_preferred_letter_is_chosen_more_often_than_it_is_right() -> None:
    found = chosen(accuracy=0.7, prefer="B", preference=0.5)
    assert abs((found == 1).mean() - (0.5 + 0.5 * 0.25)) < 0.02


def test_a_prior_multiplies_the_chance_of_the_letter_displayed() -> None:
    found = chosen(accuracy=0.4, prior="4:1:1:1")
    right = (found == GOLD)[GOLD[:, 0] == 0].mean()
    assert abs(right - 4 * 0.4 / (4 * 0.4 + 0.6)) < 0.04
    assert abs((found[GOLD[:, 0] == 1] == 0).mean() - 0.8 / (0.8 + 0.4 + 0.4)) < 0.04


def test_a_prior_sways_each_slot_as_strongly_as_it_is_told() -> None:
    model = load(accuracy=0.6, prior="4:1:1:1", scores="graded", sway="0:.5:2")
    blind = [replace(ask(probe(1), slot).trial, probe=replace(probe(1), gold=None)) for slot in (0, 1, 2, None)]
    for trial, strength in zip(blind, (0.0, 0.5, 2.0, 0.0)):
        (found,) = model.score([prompt(trial, {}, Style())])
        assert isinstance(found, OptionScores)
        assert found.logprobs[0] - found.logprobs[1] == pytest.approx(strength * math.log(4))


def test_graded_scores_are_prior_times_content_to_the_last_digits() -> None:
    model = load(accuracy=0.6, prior="4:3:2:1", scores="graded", difficulty=1.0)
    scores = np.array([a.logprobs for a in model.score([ask(probe(3), order=order) for order in ORDERS])])
    content = np.array(
        [[row[order.index(k)] for k in range(4)] for row, order in zip(scores - np.log([4, 3, 2, 1]), ORDERS)]
    )
    differences = content - content[:, :1]
    np.testing.assert_allclose(differences, np.broadcast_to(differences[0], (4, 4)), atol=1e-12)
    assert np.ptp(differences[0]) > 0


def test_home_is_the_log_odds_that_the_first_of_two_gains() -> None:
    asked = [ask(probe(k, ("x", "y")), n_slots=1, order=order) for k in range(N_PROBES) for order in ((0, 1), (1, 0))]
    first = (picks(load(accuracy=0.5, home=math.log(3)), asked) == 0).mean()
    assert abs(first - 0.75) < 0.02


@pytest.mark.parametrize(("head", "decay", "distance"), [(1.0, 0.0, 2), (-1.5, 0.5, 2), (2.0, 1.0, 1), (0.0, 0.0, 1)])
def test_of_two_contradicting_segments_the_head_is_believed_by_the_odds(
    head: float, decay: float, distance: int
) -> None:
    asked = [
        ask(probe(k), slot, rival_slot=rival, rival_gold=(k + 1) % 4)
        for k in range(N_PROBES)
        for slot, rival in ((0, distance), (distance, 0))
    ]
    found = picks(load(head=head, decay=decay), asked).reshape(-1, 2)
    believes_head = np.column_stack([found[:, 0] == GOLD[:, 0], found[:, 1] == (GOLD[:, 0] + 1) % 4])
    wanted = 1 / (1 + math.exp(-head * math.exp(-decay * (distance - 1))))
    assert abs(believes_head.mean() - wanted) < 0.03


def test_some_answers_are_of_neither_segment() -> None:
    asked = [ask(probe(k), 0, rival_slot=1, rival_gold=(k + 1) % 4) for k in range(N_PROBES)]
    found = picks(load(other=0.2), asked)
    assert abs(((found - GOLD[:, 0]) % 4 > 1).mean() - 0.2) < 0.03


@pytest.mark.parametrize(
    ("spatial", "best", "worst"),
    [("centre", "1,1", "0,0"), ("bottom_right", "2,2", "0,0"), ("left", "1,0", "1,2"), ("checkerboard", "0,2", "0,1")],
)
def test_cells_differ_by_the_effect_from_the_best_to_the_worst(spatial: str, best: str, worst: str) -> None:
    model = load(accuracy=0.6, spatial=spatial, effect=0.4)
    right = {
        cell: (picks(model, [ask(probe(k), cell=cell, grid="3x3") for k in range(N_PROBES)]) == GOLD[:, 0]).mean()
        for cell in (best, worst)
    }
    assert abs(right[best] - right[worst] - 0.4) < 0.05


def test_without_a_spatial_effect_cells_are_alike() -> None:
    asked = [ask(probe(k), cell=cell, grid="3x3") for cell in ("0,0", "1,1") for k in range(N_PROBES)]
    right = picks(load(accuracy=0.6), asked).reshape(2, -1) == GOLD[:, 0]
    assert abs(right[0].mean() - right[1].mean()) < 0.05


def test_refusals_are_faults_and_not_wrong_answers() -> None:
    answers = load(refusals=0.25).score(PROMPTS)
    faults = [a for a in answers if isinstance(a, Fault)]
    assert 0.22 < len(faults) / len(answers) < 0.28
    assert {f.kind for f in faults} == {"refused"}


def test_a_crash_leaves_one_slot_without_answers() -> None:
    found = chosen(crash=1)
    assert (found[:, 1] == -1).all()
    assert (found[:, [0, 2]] >= 0).all()
    assert abs((chosen(crash=1, crash_share=0.3)[:, 1] == -1).mean() - 0.3) < 0.03


def test_latency_is_waited_once_per_prompt() -> None:
    waited: list[float] = []
    ScriptedModel(load(latency_s=0.5).script, sleep=waited.append).score(PROMPTS[:7])
    assert waited == [0.5] * 7


@pytest.mark.parametrize("phrase", ["option", "sentence", "article", "adversarial"])
def test_a_reply_is_read_as_what_was_meant_or_not_at_all(phrase: str) -> None:
    asked = PROMPTS[:600]
    replies = load(phrase=phrase).generate(asked, max_new_tokens=16)
    meant = picks(load(phrase=phrase), asked)
    read = [parse(r.text, options=p.trial.options, labels=labels(4)).index for r, p in zip(replies, asked)]
    assert all(index in (None, want) for index, want in zip(read, meant))
    assert sum(index is not None for index in read) > 0.6 * len(read)


def test_a_hedged_reply_names_no_option() -> None:
    replies = load(phrase="hedged").generate(PROMPTS[:50], max_new_tokens=16)
    assert all(isinstance(r, Reply) and parse(r.text, options="abcd", labels=labels(4)).index is None for r in replies)


@pytest.mark.parametrize(
    ("policy", "question", "options", "order", "text"),
    [
        ("longest", "?", ("red", "a dark green", "blue"), (2, 0, 1), "a dark green"),
        ("yes", "?", ("no", "Yes"), (0, 1), "Yes"),
        ("first_mentioned", "Is it blue or red?", ("red", "green", "blue"), (0, 1, 2), "blue"),
    ],
)
def test_a_responder_without_eyes_follows_the_words(policy, question, options, order, text) -> None:
    blind = replace(probe(0, options), question=question)
    (answer,) = load(policy=policy).score([ask(blind, order=order)])
    assert options[order[int(np.argmax(answer.logprobs))]] == text


def test_a_uniform_responder_chooses_every_letter_alike() -> None:
    np.testing.assert_allclose(
        np.bincount(chosen(policy="uniform").ravel(), minlength=4) / PROMPTS.__len__(), 0.25, atol=0.02
    )


def test_log_probabilities_sum_to_one() -> None:
    for model in (load(), load(scores="graded", prior="3:1:1:1")):
        (answer,) = model.score(PROMPTS[:1])
        assert np.exp(answer.logprobs).sum() == pytest.approx(1.0)


def test_two_loads_with_one_seed_agree_and_with_another_do_not() -> None:
    assert load(seed=1).score(PROMPTS[:50]) == load(seed=1).score(PROMPTS[:50])
    assert load(seed=1).score(PROMPTS[:50]) != load(seed=2).score(PROMPTS[:50])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"acuracy": 0.5}, "did you mean accuracy"),
        ({"accuracy": 1.5}, "accuracy=1.5"),
        ({"accuracy": "high"}, "accuracy='high' is not a number"),
        ({"profile": "a:b"}, "not numbers"),
        ({"profile": "2:1:0"}, "from 0 to 1"),
        ({"noise": "sheared"}, "did you mean shared"),
        ({"policy": "longst"}, "did you mean longest"),
        ({"spatial": "center"}, "did you mean centre"),
        ({"prior": "1:0:1"}, "above 0"),
        ({"sway": "1:-1:1"}, "from 0, one per slot"),
        ({"preference": 0.5}, "needs prefer"),
        ({"prefer": "AB", "preference": 0.5}, "not a letter"),
        ({"effect": 0.5}, "needs spatial"),
        ({"crash": -1}, "whole number"),
        ({"decay": -1.0}, "below 0"),
        ({"clip_correlation": 1.0, "noise": "shared"}, "nothing for noise"),
    ],
)
def test_a_bad_argument_is_named(arguments: dict[str, object], says: str) -> None:
    with pytest.raises(ModelError, match=says):
        load(**arguments)


@pytest.mark.parametrize(
    ("arguments", "factors", "says"),
    [
        ({"profile": "1:0"}, {}, "2 values and the suite 3 slots"),
        ({"prior": "1:2"}, {}, "2 values and a trial 4 options"),
        ({"sway": "1:2"}, {}, "sway has 2 values and a trial 3 slots"),
        ({"spatial": "left", "effect": 0.1}, {}, "needs trials with the factors cell"),
        ({"spatial": "left", "effect": 0.9}, {"cell": "0,0", "grid": "3x3"}, "smaller effect"),
        ({}, {"rival_slot": 1}, "rival_gold"),
        ({}, {"rival_slot": 0, "rival_gold": 1}, "two slots"),
    ],
)
def test_a_script_that_does_not_fit_the_trial_is_refused(arguments, factors, says: str) -> None:
    with pytest.raises(ModelError, match=says):
        load(**arguments).score([ask(probe(0), **factors)])
